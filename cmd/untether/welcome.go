package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
	"golang.org/x/text/width"

	"untether/internal/demo"
)

// style is how words are set off on a terminal; the zero value is plain.
type style struct{ strong, quiet, end string }

// styleOf is plain in a pipe, on a simple terminal and where people asked for no colour.
func styleOf(w io.Writer) style {
	if !onTerminal(w) || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return style{}
	}
	return style{strong: "\x1b[1;36m", quiet: "\x1b[2m", end: "\x1b[0m"}
}

func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// welcome tells where to look and whom to try, in both languages.
func welcome(d *demo.Demo, dir string, s style) string {
	sample, url := d.Sample(), d.URL()
	kept := "用完即删 · forgotten at the end"
	if dir != "" {
		kept = dir
	}
	var b strings.Builder
	line := func(zh, en, value string) {
		label := zh + " " + en
		fmt.Fprintf(&b, "  %s%s%s%s%s\n", label, strings.Repeat(" ", max(2, 26-columns(label))), s.strong, value, s.end)
	}
	title := func(zh, en string) { fmt.Fprintf(&b, "\n  %s%s · %s%s\n", s.quiet, zh, en, s.end) }
	fmt.Fprintf(&b, "\n  %s清号 Untether%s  演示：一个编出来的小国 · a made-up small country\n", s.strong, s.end)
	title("看这里", "where to look")
	line("查询页", "portal", url+"/")
	line("大家的手机", "phones", url+"/handsets")
	title("试一试这个人", "somebody to try")
	line("姓名", "name", sample.Name)
	line("号码", "number", demo.Spaced(sample.PhoneNumber))
	line("证件后六位", "last six", sample.IDLast6)
	line("其手机", "their phone", url+"/handsets/"+strings.TrimPrefix(sample.PhoneNumber, "+"))
	title("时间", "time")
	line("拨快两天", "two days ahead", fmt.Sprintf(`curl -H 'Content-Type: application/json' -d '{"advance":"48h"}' %s/sandbox/v1/clock`, url))
	title("其他", "and")
	line("数据", "state", kept)
	line("停止", "stop", "Ctrl-C")
	b.WriteString("\n")
	return b.String()
}

// columns is how wide a text is on a terminal: a Chinese character takes two.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n++
		if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
			n++
		}
	}
	return n
}
