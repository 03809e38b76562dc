// Package e2e holds the end-to-end tests: a whole hub, with real peers on loopback sockets, used as people, apps and
// carriers use it. They speak HTTP, SMPP and the command line only, and compare what arrives on handsets with what is true
// in the sandbox's country, or with rows that a test put into a database of its own.
//
// They guarantee nothing about single rules: those have tests beside them. A PostgreSQL server (UNTETHER_TEST_POSTGRES) and
// npm's smpp (UNTETHER_NPM_SMPP, a directory where it is installed) are used when they are named.
package e2e
