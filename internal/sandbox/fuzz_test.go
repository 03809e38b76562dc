package sandbox

import (
	"encoding/json"
	"testing"
	"time"
)

func FuzzDurationOf(f *testing.F) {
	for _, s := range []string{"48h", "1h30m", "1.5h", "", "-1h", "+1h", ".5h", "1us", "99999999999999h", "1h\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		by, err := durationOf(s)
		if (err != nil && by != 0) || by < 0 {
			t.Errorf("%q is %v, %v", s, by, err)
		}
		if again, other := durationOf(by.String()); err == nil && by < advanceMax && by > time.Second && (other != nil || again != by) && by%time.Millisecond == 0 {
			t.Errorf("%v reads as %v", by, again)
		}
	})
}

// Whatever a damaged journal holds, reading it is an error at worst.
func FuzzDeed(f *testing.F) {
	f.Add([]byte(`{"number":"+8613812345678","type":"transferred","at":"2026-03-01T00:00:00Z","name":"李雷","document":"11010519491231002X"}`))
	f.Add([]byte(`{"number":"+861`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var d deed
		if json.Unmarshal(line, &d) != nil {
			return
		}
		if a, err := d.act(); err == nil && (a.Number.IsZero() || a.Person != nil && a.Person.Document.IsZero()) {
			t.Errorf("%q was taken", line)
		}
	})
}

func FuzzPieces(f *testing.F) {
	f.Add("【清号】验证码 482913，5 分钟内有效")
	f.Fuzz(func(t *testing.T, text string) {
		whole := ""
		for _, p := range pieces(text) {
			whole += p.Text
		}
		if whole != text {
			t.Errorf("%q became %q", text, whole)
		}
	})
}
