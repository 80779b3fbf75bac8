package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"time"
)

// An SPDX 2.3 document (https://spdx.github.io/spdx-spec/v2.3/), as much of it
// as this needs.
type (
	spdxDocument struct {
		Version       string             `json:"spdxVersion"`
		License       string             `json:"dataLicense"`
		ID            string             `json:"SPDXID"`
		Name          string             `json:"name"`
		Namespace     string             `json:"documentNamespace"`
		Creation      spdxCreation       `json:"creationInfo"`
		Packages      []spdxPackage      `json:"packages"`
		Relationships []spdxRelationship `json:"relationships"`
	}
	spdxCreation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	spdxPackage struct {
		ID       string          `json:"SPDXID"`
		Name     string          `json:"name"`
		Version  string          `json:"versionInfo,omitempty"`
		Location string          `json:"downloadLocation"`
		Analyzed bool            `json:"filesAnalyzed"`
		External []spdxReference `json:"externalRefs,omitempty"`
	}
	spdxReference struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	spdxRelationship struct {
		From string `json:"spdxElementId"`
		Kind string `json:"relationshipType"`
		To   string `json:"relatedSpdxElement"`
	}
)

// writeSBOM writes which modules are in the image, as the first binary tells:
// all are built from the same source.
func (o *options) writeSBOM(out *os.File) error {
	const itself = "SPDXRef-comet"
	built := o.binaries[0].built
	sum := sha256.Sum256(o.binaries[0].content)
	d := spdxDocument{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: o.name,
		Namespace:     "https://spdx.org/spdxdocs/comet-" + hex.EncodeToString(sum[:]),
		Creation:      spdxCreation{Created: o.date.UTC().Format(time.RFC3339), Creators: []string{"Tool: comet-image"}},
		Packages:      []spdxPackage{{ID: itself, Name: "comet", Version: o.version, Location: "NOASSERTION"}},
		Relationships: []spdxRelationship{{"SPDXRef-DOCUMENT", "DESCRIBES", itself}},
	}
	modules := append([]*debug.Module{{Path: "stdlib", Version: built.GoVersion}}, built.Deps...)
	for i, m := range modules {
		if m.Replace != nil {
			m = m.Replace
		}
		id := fmt.Sprintf("SPDXRef-module-%d", i)
		d.Packages = append(d.Packages, spdxPackage{
			ID: id, Name: m.Path, Version: m.Version, Location: "NOASSERTION",
			External: []spdxReference{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + m.Path + "@" + m.Version}},
		})
		d.Relationships = append(d.Relationships, spdxRelationship{itself, "DEPENDS_ON", id})
	}
	e := json.NewEncoder(out)
	e.SetIndent("", " ")
	return e.Encode(d)
}
