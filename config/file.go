package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fileLayer is what the file gives. We walk the YAML nodes ourselves because
// viper forgets the line numbers, and because a value must stay as written: a
// password 0123 is no octal number.
type fileLayer struct {
	layer
	path     string
	problems Problems
	failed   map[string]bool
}

// readFile reads the YAML file at path, if any.
func readFile(path string) (*fileLayer, Problems) {
	f := &fileLayer{layer: newLayer(), path: path, failed: map[string]bool{}}
	if path == "" {
		return f, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		f.report(0, "", "cannot be read: "+cause(err).Error())
		return f, f.problems
	}
	f.parse(content)
	return f, f.problems
}

// cause is an error of package os without the path, which the Problem has.
func cause(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

func (f *fileLayer) parse(content []byte) {
	var document, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	err := decoder.Decode(&document)
	if err == io.EOF {
		return // nothing but comments
	}
	if err == nil && decoder.Decode(&second) != io.EOF {
		f.report(second.Line, "", "must hold one YAML document: remove what follows the ---")
	}
	if err != nil {
		line, message := explainYAML(err)
		f.report(line, "", "is not YAML near here: "+message)
		return
	}
	root := document.Content[0]
	if isNull(root) {
		return
	}
	if root.Kind != yaml.MappingNode {
		f.report(root.Line, "", "must hold settings, as in `http: {listen: \"127.0.0.1:8080\"}`")
		return
	}
	f.walk("", root)
}

// walk takes the settings in a mapping whose keys begin with group.
func (f *fileLayer) walk(group string, mapping *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		name, value := mapping.Content[i], mapping.Content[i+1]
		key := group + strings.ToLower(name.Value)
		member, isGroup := groupMember(key)
		switch {
		case isKey(key):
			f.take(key, name.Line, resolve(value))
		case isGroup && isNull(value):
			// All of its settings are commented out.
		case isGroup && resolve(value).Kind == yaml.MappingNode:
			f.walk(key+".", resolve(value))
		case isGroup:
			f.report(name.Line, key, "is a group of settings: write them under it, as in "+member)
		case value.Kind == yaml.MappingNode && len(value.Content) > 0:
			f.walk(key+".", value) // names each unknown key in full, for a better suggestion
		default:
			f.report(name.Line, key, "is not a setting; "+suggest(key, func(s Setting) string { return s.Key }))
		}
	}
}

// take notes the value of a known key.
func (f *fileLayer) take(key string, line int, value *yaml.Node) {
	if isNull(value) {
		return
	}
	if first, twice := f.origins[key]; twice {
		f.failed[key] = true
		f.report(line, key, "is set twice, first in "+first+": remove one")
		return
	}
	f.origins[key] = f.source(line)
	if setting(key).Type == rulesType && value.Kind != yaml.ScalarNode {
		f.takeRules(key, line, value)
		return
	}
	switch value.Kind {
	case yaml.ScalarNode:
		f.values[key] = value.Value
	case yaml.SequenceNode:
		f.takeList(key, line, value)
	default:
		f.failed[key] = true
		f.report(line, key, "must be a value, not a group")
	}
}

func (f *fileLayer) takeList(key string, line int, list *yaml.Node) {
	items := make([]string, len(list.Content))
	for i, item := range list.Content {
		item = resolve(item)
		if item.Kind != yaml.ScalarNode || isNull(item) {
			f.failed[key] = true
			f.report(line, key, fmt.Sprintf("item %d must be one value", i+1))
			return
		}
		items[i] = item.Value
	}
	f.values[key] = items
}

// takeRules takes rules as the text that they would be in a variable.
func (f *fileLayer) takeRules(key string, line int, rules *yaml.Node) {
	text, err := yaml.Marshal(rules)
	if err != nil {
		f.failed[key] = true
		f.report(line, key, "cannot be read as rules")
		return
	}
	f.values[key] = string(text)
}

// report never quotes a value: an unknown key may be a secret's, misspelt.
func (f *fileLayer) report(line int, key, message string) {
	f.problems = append(f.problems, &Problem{Key: key, Source: f.source(line), Message: message})
}

func (f *fileLayer) source(line int) string {
	if line == 0 {
		return f.path
	}
	return fmt.Sprintf("%s:%d", f.path, line)
}

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return resolve(n).ShortTag() == "!!null" }

var yamlError = regexp.MustCompile("^yaml: (?:line ([0-9]+): )?((?:unknown anchor|.*))")

// explainYAML takes apart an error of the yaml package. It drops an anchor's
// name, which may be a password that begins with * and lacks its quotes.
func explainYAML(err error) (line int, message string) {
	parts := yamlError.FindStringSubmatch(err.Error())
	if parts == nil {
		return 0, "it cannot be parsed"
	}
	line, _ = strconv.Atoi(parts[1]) // some errors name no line
	return line, parts[2]
}
