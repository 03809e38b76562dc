package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// kinds are numbers whose requests for a code must not be told apart by how long they take.
var kinds = []struct {
	name   string
	number func(i int) string
}{
	{"known: a carrier here serves it", number},
	{"unknown: no carrier here does", func(i int) string { return fmt.Sprintf("+8692%09d", i) }},
	{"foreign", func(i int) string { return fmt.Sprintf("+1415%07d", i) }},
}

// sums gathers a mean and a variance (Welford).
type sums struct {
	n        int
	mean, m2 float64
}

func (s *sums) add(x float64) {
	s.n++
	d := x - s.mean
	s.mean += d / float64(s.n)
	s.m2 += d * (x - s.mean)
}

func (s sums) variance() float64 { return s.m2 / float64(s.n-1) }

// welch is Welch's t of two samples.
func welch(a, b sums) float64 {
	return (a.mean - b.mean) / math.Sqrt(a.variance()/float64(a.n)+b.variance()/float64(b.n))
}

// measureTimes sends requests for codes to numbers of every kind, in random order, one at a time, and prints Welch's t of
// their times. The slowest hundredth of each kind is left out: it is the machine's.
func (o options) measureTimes(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "untether-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w, err := openWorld(ctx, filepath.Join(dir, "hub.db"), "")
	if err != nil {
		return err
	}
	took := make([][]float64, len(kinds))
	order := rand.New(rand.NewPCG(1, 2)).Perm(o.samples * len(kinds))
	for i, at := range order {
		kind := at % len(kinds)
		begun := time.Now()
		var code struct{}
		err := w.post(ctx, "/v1/codes", map[string]string{"phoneNumber": kinds[kind].number(at)}, http.StatusAccepted, &code)
		if err != nil {
			return errors.Join(err, w.close())
		}
		if i > o.samples/10 { // after a warm-up
			took[kind] = append(took[kind], time.Since(begun).Seconds()*1e6)
		}
	}
	fmt.Printf("POST /v1/codes: do the times tell numbers apart? (%d requests of each kind, in random order; |t| under 3: no)\n", o.samples)
	first := trimmed(took[0])
	for i, k := range kinds {
		s := trimmed(took[i])
		fmt.Printf("  %-34s mean ratio %.3f   Welch's t %+.2f\n", k.name, s.mean/first.mean, welch(s, first))
	}
	return w.close()
}

// trimmed leaves out the slowest hundredth.
func trimmed(x []float64) sums {
	limit := quantile(x, 0.99)
	var s sums
	for _, v := range x {
		if v <= limit {
			s.add(v)
		}
	}
	return s
}

func quantile(x []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(x))
	return sorted[int(q*float64(len(sorted)-1))]
}
