// Package browser tests the pages in a real browser, as a person meets them: by typing and tapping, in both languages, on a
// small screen, with and without scripts, by keyboard, enlarged and in the dark.
//
// It holds tests only. They run the program that `untether demo` runs and drive Debian's or anybody's Chromium; where none is
// on the PATH they are skipped, except when CI is set. The accessibility check needs npm's axe-core 4.14.1: UNTETHER_NPM_AXE
// names the directory where it was installed. UNTETHER_PICTURES names a directory to write pictures of every page to.
package browser
