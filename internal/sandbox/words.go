package sandbox

import (
	"embed"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"

	"untether/internal/words"
)

//go:embed words.zh-CN.yaml words.en.yaml
var wordFiles embed.FS

// texts are the handsets pages' own, apart from the product's: they are of the demo only.
var texts = map[words.Language]map[string]string{words.ZhCN: mustTexts(words.ZhCN), words.En: mustTexts(words.En)}

func mustTexts(l words.Language) map[string]string {
	raw, err := wordFiles.ReadFile("words." + string(l) + ".yaml")
	if err != nil {
		panic(err) // a file of the binary
	}
	read := map[string]string{}
	if err := yaml.Unmarshal(raw, &read); err != nil {
		panic("sandbox: the words in " + string(l) + ": " + err.Error())
	}
	return read
}

// tell gives the text under a key with its blanks, {{.name}}, filled from name, value pairs. A key that does not exist is
// told as it is; a test finds those.
func tell(l words.Language, key string, pairs ...any) string {
	text, ok := texts[l][key]
	if !ok {
		return key
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		text = strings.ReplaceAll(text, fmt.Sprintf("{{.%v}}", pairs[i]), fmt.Sprint(pairs[i+1]))
	}
	return text
}
