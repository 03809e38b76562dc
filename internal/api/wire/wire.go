// Package wire is the bodies of requests and answers as Go types, generated from the documents in api/: one file for each
// document. A property without omitempty is required; enums are string types with Valid. Nothing here is written by hand,
// and nothing here decides anything. The shape of failures is in the package respond.
package wire

//go:generate go tool -modfile=../../../tools/go.mod oapi-codegen -templates templates -config channel.config.yaml ../../../api/channel.yaml
//go:generate go tool -modfile=../../../tools/go.mod oapi-codegen -templates templates -config app.config.yaml ../../../api/app.yaml
//go:generate go tool -modfile=../../../tools/go.mod oapi-codegen -templates templates -config carrier.config.yaml ../../../api/carrier.yaml
//go:generate go tool -modfile=../../../tools/go.mod oapi-codegen -templates templates -config carrier-peer.config.yaml ../../../api/carrier-peer.yaml
//go:generate go tool -modfile=../../../tools/go.mod oapi-codegen -templates templates -config access.config.yaml ../../../api/access.yaml
//go:generate go tool -modfile=../../../tools/go.mod oapi-codegen -templates templates -config sandbox.config.yaml ../../../api/sandbox.yaml
