package browser

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"untether/internal/words"
)

// TestPictures writes a picture of every page and state, for people to look at.
func TestPictures(t *testing.T) {
	directory := os.Getenv("UNTETHER_PICTURES")
	if directory == "" {
		t.Skip("UNTETHER_PICTURES is not set: it names a directory to write pictures of every page to")
	}
	for _, lang := range words.Languages() {
		t.Run(string(lang), func(t *testing.T) {
			c := newCountry(t)
			v := visit(t, c.URL(), device{language: lang, still: true})
			everyState(t, c, v, func(name string) {
				for _, d := range []struct {
					name string
					device
				}{
					{"390", device{scale: 1.5}}, {"390-dark", device{scale: 1.5, dark: true}},
					{"1280", device{width: 1280, desktop: true}}, {"1280-dark", device{width: 1280, desktop: true, dark: true}},
				} {
					d.language, d.still = lang, true
					v.take(d.device)
					picture, err := chromedp.Run(v.ctx, chromedp.FullScreenshot(100))
					if err != nil {
						t.Fatal(err)
					}
					file := filepath.Join(directory, name+"-"+string(lang)+"-"+d.name+".png")
					if err := os.WriteFile(file, picture, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				v.take(device{language: lang, still: true})
			})
		})
	}
}
