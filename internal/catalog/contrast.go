package catalog

import (
	"math"
	"strconv"
)

// contrastWithWhite is WCAG's contrast ratio of white text on a colour #rrggbb: 1 (invisible) to 21.
func contrastWithWhite(colour string) float64 {
	v, _ := strconv.ParseUint(colour[1:], 16, 32)
	luminance := 0.2126*linear(v>>16&0xff) + 0.7152*linear(v>>8&0xff) + 0.0722*linear(v&0xff)
	return 1.05 / (luminance + 0.05)
}

// linear takes the gamma out of an sRGB channel.
func linear(channel uint64) float64 {
	s := float64(channel) / 255
	if s <= 0.04045 {
		return s / 12.92
	}
	return math.Pow((s+0.055)/1.055, 2.4)
}
