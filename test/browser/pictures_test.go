package browser

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
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

// TestReadmePictures writes the pictures that the README shows: docs/images, when UNTETHER_README_PICTURES names it.
func TestReadmePictures(t *testing.T) {
	directory := os.Getenv("UNTETHER_README_PICTURES")
	if directory == "" {
		t.Skip("UNTETHER_README_PICTURES is not set: it names the directory for the README's pictures")
	}
	names := map[string]string{"start": "portal-start", "progress": "portal-progress", "result": "portal-result", "handset": "handset",
		"handsets": "handsets"}
	for _, lang := range words.Languages() {
		c := newCountry(t)
		phone := device{language: lang, still: true, scale: 2}
		v := visit(t, c.URL(), phone)
		everyState(t, c, v, func(name string) {
			file, wanted := names[name]
			if !wanted {
				return
			}
			_ = ask[bool](v, `(scrollTo(0, 0), document.activeElement.blur(), true)`)
			picture, err := chromedp.Run(v.ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			short, _, _ := strings.Cut(string(lang), "-")
			if err := os.WriteFile(filepath.Join(directory, file+"-"+short+".png"), fewColours(t, picture), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// fewColours makes a picture small: its 256 most frequent colours are all that flat pages need.
func fewColours(t *testing.T, picture []byte) []byte {
	t.Helper()
	from, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	counts, area := map[color.Color]int{}, from.Bounds()
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			counts[from.At(x, y)]++
		}
	}
	frequent := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return counts[b] - counts[a] })
	to := image.NewPaletted(area, color.Palette(frequent[:min(256, len(frequent))]))
	draw.Draw(to, area, from, area.Min, draw.Src)
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, to); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestPrintedResult prints the result on A4: one or two sheets, without what only a screen needs.
func TestPrintedResult(t *testing.T) {
	c := newCountry(t)
	who := c.sample()
	v, handset := visit(t, c.URL(), device{language: words.ZhCN}), visit(t, c.URL(), device{language: words.ZhCN})
	v.askForCode(who.national())
	handset.pickUp(who)
	v.prove(handset.readCode(""), who.IDLast6)
	v.sees(v.say("result.own"))
	sheets, err := chromedp.Run(v.ctx, chromedp.PrintToPDF(chromedp.PDFPaper(chromedp.PaperA4)))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(sheets, []byte("/Type /Page\n")); n < 1 || n > 2 {
		t.Errorf("the result takes %d sheets, want at most 2", n)
	}
	if directory := os.Getenv("UNTETHER_PICTURES"); directory != "" {
		v.take(device{language: words.ZhCN, width: 718, desktop: true})
		call(v, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
		picture, err := chromedp.Run(v.ctx, chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(directory, "result-printed.png"), picture, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(directory, "result.pdf"), sheets, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
