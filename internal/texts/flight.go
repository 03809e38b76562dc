package texts

import (
	"sync"

	"untether/internal/work"
)

// flight is the texts that this process took from the lane and has not written down yet. When a lease ends before that (a
// slow centre, a clock that jumps), the lane gives the text out again, and without this it would be sent twice.
type flight struct {
	mu     sync.Mutex
	texts  map[work.Key]work.Item
	landed map[work.Key]bool // for good, since the last call
}

// call comes before each look into the lane: what is finished from now on may still be among what the look finds.
func (f *flight) call() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.landed = map[work.Key]bool{}
}

// board gives those items that were not here yet. Of those that were, it remembers the newer lease.
func (f *flight) board(items []work.Item) []work.Item {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.texts == nil {
		f.texts = map[work.Key]work.Item{}
	}
	var fresh []work.Item
	for _, item := range items {
		if f.landed[item.Key] {
			continue
		}
		if _, here := f.texts[item.Key]; !here {
			fresh = append(fresh, item)
		}
		f.texts[item.Key] = item
	}
	return fresh
}

// newest gives an item as it was leased last.
func (f *flight) newest(item work.Item) work.Item {
	f.mu.Lock()
	defer f.mu.Unlock()
	if newer, here := f.texts[item.Key]; here {
		return newer
	}
	return item
}

// land forgets a text that was written down, and tells whether it was leased again since. final: it needs no further try.
func (f *flight) land(item work.Item, final bool) (leasedAgain bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	leasedAgain = f.texts[item.Key].Due.After(item.Due)
	delete(f.texts, item.Key)
	if final && f.landed != nil {
		f.landed[item.Key] = true
	}
	return leasedAgain
}
