// Package api holds the OpenAPI 3 documents of every API, as served under /openapi/. They are the contract: the types in
// internal/api/wire are generated from them, and the tests compare every answer with them.
package api

import (
	"embed"
	"io/fs"
)

//go:embed *.yaml
var documents embed.FS

// Names lists the documents in reading order.
var Names = []string{"channel.yaml", "app.yaml", "carrier.yaml", "carrier-peer.yaml", "access.yaml", "sandbox.yaml"}

// Documents gives all documents, by name at the top.
func Documents() fs.FS { return documents }

// Load gives the text of one document, for example "channel.yaml"; an unknown name is fs.ErrNotExist.
func Load(name string) ([]byte, error) { return documents.ReadFile(name) }
