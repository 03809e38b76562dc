package sms_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"

	"untether/internal/clock"
	"untether/internal/phone"
	"untether/internal/sandbox/centre"
	"untether/internal/sms"
	"untether/internal/texts"
)

// BenchmarkSubmit measures texts of one part and of five, each submitted, delivered and its receipts returned, over one
// bind with the sandbox's centre in the same process.
func BenchmarkSubmit(b *testing.B) {
	long := ""
	for range 300 {
		long += "清"
	}
	for _, row := range []struct{ name, text string }{{"one part", "您的验证码是 123456"}, {"five parts", long}} {
		b.Run(row.name, func(b *testing.B) { benchmarkSubmit(b, row.text) })
	}
}

func benchmarkSubmit(b *testing.B, text string) {
	log := slog.New(slog.DiscardHandler)
	c, err := centre.Open(centre.Options{
		Listen: "127.0.0.1:0", SystemIDs: map[string]string{"hub": "secret"}, Clock: clock.System{}, Log: log,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	receipts := make(chan struct{}, 1<<20)
	client := sms.New(sms.Config{Address: c.Addr(), SystemID: "hub", Password: "secret", Window: 64}, clock.System{}, log,
		func(_ texts.Receipt, recorded func()) { recorded(); receipts <- struct{}{} }, func(_, _, _ string) {})
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = client.Run(ctx)
	}()
	if err := client.Await(ctx, true); err != nil {
		b.Fatal(err)
	}
	var reference atomic.Uint32 // parts of texts under way at the same time must not share one
	parts, err := sms.Segment(text, 1)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			ids, err := client.Submit(ctx, texts.Outgoing{
				Reference: uint16(reference.Add(1)), From: "10699000", To: phone.MustParse("+8613812345678"), Text: text,
			})
			if err != nil {
				b.Error(err)
				return
			}
			for range ids {
				<-receipts
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N*len(parts))/b.Elapsed().Seconds(), "parts/s")
	cancel()
	<-ended
}
