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

// fileLayer holds the values of the file. The YAML nodes are walked here, not by
// viper, to keep line numbers and to keep values as written: a password 0123 is not
// an octal number.
type fileLayer struct {
	values   map[string]any // given, by key
	path     string
	problems Problems
	failed   map[string]bool
}

// readFile reads the YAML file at path, if any.
func readFile(path string) (*fileLayer, Problems) {
	f := &fileLayer{values: map[string]any{}, path: path, failed: map[string]bool{}}
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

// cause returns an error of package os without the path, which the Problem has.
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

// walk reads the settings of a mapping. Their keys begin with group.
func (f *fileLayer) walk(group string, mapping *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		name, value := mapping.Content[i], mapping.Content[i+1]
		key := group + strings.ToLower(name.Value)
		member, isGroup := groupMember(key)
		switch {
		case isKey(key):
			f.read(key, name.Line, resolve(value))
		case isGroup && isNull(value):
			// All settings of the group are commented out.
		case isGroup && resolve(value).Kind == yaml.MappingNode:
			f.walk(key+".", resolve(value))
		case isGroup:
			f.report(name.Line, key, "is a group of settings: write them under it, as in "+member)
		case value.Kind == yaml.MappingNode && len(value.Content) > 0:
			f.walk(key+".", value) // reports each unknown key in full, for a better suggestion
		default:
			f.report(name.Line, key, "is not a setting; "+suggest(key, func(s Setting) string { return s.Key }))
		}
	}
}

// read records the value of a known key.
func (f *fileLayer) read(key string, line int, value *yaml.Node) {
	if isNull(value) {
		return
	}
	if first, twice := f.values[key].(given); twice {
		f.failed[key] = true
		f.report(line, key, "is set twice, first in "+first.origin+": remove one")
		return
	}
	if setting(key).Type == rulesType && value.Kind != yaml.ScalarNode {
		f.readRules(key, line, value)
		return
	}
	switch value.Kind {
	case yaml.ScalarNode:
		f.values[key] = given{value.Value, f.source(line)}
	case yaml.SequenceNode:
		f.readList(key, line, value)
	default:
		f.failed[key] = true
		f.report(line, key, "must be a value, not a group")
	}
}

func (f *fileLayer) readList(key string, line int, list *yaml.Node) {
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
	f.values[key] = given{items, f.source(line)}
}

// readRules records rules as text, as a variable holds them.
func (f *fileLayer) readRules(key string, line int, rules *yaml.Node) {
	text, err := yaml.Marshal(rules)
	if err != nil {
		f.failed[key] = true
		f.report(line, key, "cannot be read as rules")
		return
	}
	f.values[key] = given{string(text), f.source(line)}
}

// report never quotes a value: an unknown key may be a misspelt secret.
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

// explainYAML splits an error of the yaml package. It drops the name of an anchor,
// which may be a password that begins with * and is not quoted.
func explainYAML(err error) (line int, message string) {
	parts := yamlError.FindStringSubmatch(err.Error())
	if parts == nil {
		return 0, "it cannot be parsed"
	}
	line, _ = strconv.Atoi(parts[1]) // some errors name no line
	return line, parts[2]
}
