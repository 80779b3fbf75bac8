package gateway

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/mux"
	"go.yaml.in/yaml/v3"

	"comet/pubsub"
)

// openAPI is gateway/web/openapi.yaml as far as the tests compare it.
type openAPI struct {
	OpenAPI    string
	Paths      map[string]pathItem
	Components struct {
		Parameters map[string]apiParameter
		Responses  map[string]apiResponse
		Schemas    map[string]any
	}
}

type pathItem struct {
	Parameters []apiParameter
	Get, Head  *operation
	Post       *operation
}

// operations is the operations of the path, by method.
func (p pathItem) operations() map[string]*operation {
	all := map[string]*operation{http.MethodGet: p.Get, http.MethodHead: p.Head, http.MethodPost: p.Post}
	maps.DeleteFunc(all, func(_ string, o *operation) bool { return o == nil })
	return all
}

type operation struct {
	Parameters []apiParameter
	Responses  map[string]apiResponse
}

type apiParameter struct {
	Ref      string `yaml:"$ref"`
	Name, In string
	Schema   apiSchema
}

type apiSchema struct {
	Enum             []string
	Const            any
	Default          any
	Minimum, Maximum *int
	MaxLength        int `yaml:"maxLength"`
	Items            *apiSchema
	Properties       map[string]apiSchema
}

type apiResponse struct {
	Ref     string `yaml:"$ref"`
	Content map[string]struct{ Schema apiSchema }
}

func readOpenAPI(t *testing.T) (api openAPI, text []byte) {
	t.Helper()
	text, err := os.ReadFile("web/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &api); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(api.OpenAPI, "3.1.") {
		t.Errorf("openapi is %q, want 3.1", api.OpenAPI)
	}
	return api, text
}

// resolve returns the parameter that p is or refers to.
func (api *openAPI) resolve(t *testing.T, p apiParameter) apiParameter {
	t.Helper()
	if p.Ref == "" {
		return p
	}
	found, ok := api.Components.Parameters[strings.TrimPrefix(p.Ref, "#/components/parameters/")]
	if !ok {
		t.Fatalf("there is no %s", p.Ref)
	}
	return found
}

// TestOpenAPIRoutes: the paths and methods are those of the router.
func TestOpenAPIRoutes(t *testing.T) {
	api, _ := readOpenAPI(t)
	var want, got []string
	g, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Drain(0)
	err = g.routes.Walk(func(r *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := r.GetPathTemplate()
		if err != nil {
			return err
		}
		methods, err := r.GetMethods()
		if err != nil {
			return nil // without methods: the route that answers 405
		}
		for _, method := range methods {
			want = append(want, method+" "+strings.ReplaceAll(path, ":.*", ""))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range api.Paths {
		for method := range item.operations() {
			got = append(got, method+" "+path)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("openapi.yaml has\n%q, the router\n%q", got, want)
	}
}

// readers are the functions that read what a request asks for, by the operation that
// calls them.
var readers = map[string][]string{
	"POST /v1/channels/{channel}/messages": {"pathChannel", "parseMessage", "tagsOf"},
	"GET /v1/channels/{channel}/messages":  {"pathChannel", "getHistory"},
	"GET /v1/channels/{channel}/presence":  {"pathChannel", "getPresence"},
	"POST /v1/publish":                     {},
	"GET /v1/events":                       {"parse", "parseStarts", "each", "skipSelf", "lastEventID", "parseEvents", "formatOf"},
	"GET /v1/poll":                         {"parse", "parseStarts", "each", "skipSelf", "lastEventID", "parsePoll"},
}

// TestOpenAPIParameters: each operation has the parameters that the code reads. Those
// of the media type of a body or an answer are in its content, and those that a proxy
// or a browser adds by itself are not a client's to set.
func TestOpenAPIParameters(t *testing.T) {
	api, _ := readOpenAPI(t)
	read := readParameters(t)
	known := make(map[string]bool)
	for name, functions := range readers {
		method, path, _ := strings.Cut(name, " ")
		want := []string{"header traceparent", "header X-Request-Id"} // see trace.Of
		for _, function := range functions {
			known[function] = true
			want = append(want, read[function]...)
		}
		item := api.Paths[path]
		o := item.operations()[method]
		if o == nil {
			t.Errorf("there is no %s", name)
			continue
		}
		var got []string
		for _, p := range slices.Concat(item.Parameters, o.Parameters) {
			p = api.resolve(t, p)
			got = append(got, p.In+" "+p.Name)
		}
		slices.Sort(got)
		slices.Sort(want)
		if want = slices.Compact(want); !slices.Equal(got, want) {
			t.Errorf("%s: openapi.yaml has\n%q, the code\n%q", name, got, want)
		}
	}
	for function, parameters := range read {
		if !known[function] {
			t.Errorf("%s reads %q: add it to readers", function, parameters)
		}
	}
}

// readParameters returns the parameters that each function of this package reads, as
// `in name`: literals in calls of methods of parameters and of http.Header.
func readParameters(t *testing.T) map[string][]string {
	t.Helper()
	read := make(map[string][]string)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range file.Decls {
			f, ok := declared.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if in, name := parameterOf(n); name != "" {
					read[f.Name.Name] = append(read[f.Name.Name], in+" "+name)
				}
				return true
			})
		}
	}
	read["tagsOf"] = append(read["tagsOf"], "header "+tagsHeader)
	for _, name := range lastEventIDParameters {
		read["lastEventID"] = append(read["lastEventID"], "query "+name)
	}
	return read
}

// parameterOf returns the parameter that a call or an index expression reads.
func parameterOf(n ast.Node) (in, name string) {
	switch n := n.(type) {
	case *ast.IndexExpr: // p.Values["channel"], mux.Vars(r)["channel"]
		name = literal(n.Index)
		if s, ok := n.X.(*ast.SelectorExpr); ok && s.Sel.Name == "Values" {
			return "query", name
		}
		if c, ok := n.X.(*ast.CallExpr); ok && selected(c) == "Vars" {
			return "path", name
		}
	case *ast.CallExpr:
		s, ok := n.Fun.(*ast.SelectorExpr)
		if !ok || len(n.Args) == 0 {
			return "", ""
		}
		if x, ok := s.X.(*ast.Ident); ok && x.Name == "p" &&
			slices.Contains([]string{"Get", "Has", "integer", "choice", "flag", "wait", "id", "each", "apart", "number"}, s.Sel.Name) {
			return "query", literal(n.Args[0])
		}
		if x, ok := s.X.(*ast.SelectorExpr); ok && x.Sel.Name == "Header" && s.Sel.Name == "Get" {
			switch name = literal(n.Args[0]); name {
			case "Content-Type", "Expect", "Origin", "Sec-Fetch-Site":
				return "", ""
			}
			return "header", name
		}
	}
	return "", ""
}

// selected returns the name of the method or function that c calls.
func selected(c *ast.CallExpr) string {
	if s, ok := c.Fun.(*ast.SelectorExpr); ok {
		return s.Sel.Name
	}
	return ""
}

// literal returns the text of a string literal; empty for anything else.
func literal(e ast.Expr) string {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return ""
	}
	text, _ := strconv.Unquote(l.Value)
	return text
}

// TestOpenAPIBounds: numbers are bounded as in the code.
func TestOpenAPIBounds(t *testing.T) {
	api, _ := readOpenAPI(t)
	for _, test := range []struct {
		name, in  string
		low, high int
		def       any
	}{
		{"GET /v1/channels/{channel}/messages", "limit", 1, pubsub.MaxPage, defaultHistory},
		{"GET /v1/channels/{channel}/presence", "limit", 1, pubsub.MaxMembers, defaultMembers},
		{"GET /v1/events", "last", 0, pubsub.MaxPage, nil},
		{"GET /v1/poll", "last", 0, pubsub.MaxPage, nil},
	} {
		method, path, _ := strings.Cut(test.name, " ")
		for _, p := range api.Paths[path].operations()[method].Parameters {
			p = api.resolve(t, p)
			if p.Name != test.in {
				continue
			}
			s := p.Schema
			if s.Items != nil {
				s = *s.Items
			}
			if s.Minimum == nil || *s.Minimum != test.low || s.Maximum == nil || *s.Maximum != test.high || s.Default != test.def {
				t.Errorf("%s: %s is %+v, want %+v", test.name, test.in, s, test)
			}
		}
	}
}

// problemKinds returns the status of every kind of problem, by its type: the
// variables of problem.go, and credentials.
func problemKinds(t *testing.T) map[string]int {
	t.Helper()
	kinds := make(map[string]int)
	file, err := parser.ParseFile(token.NewFileSet(), "problem.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		c, ok := n.(*ast.CompositeLit)
		if !ok || len(c.Elts) != 4 {
			return true
		}
		status, ok := c.Elts[0].(*ast.BasicLit)
		if name := literal(c.Elts[1]); ok && name != "" {
			kinds[problemBase+name], _ = strconv.Atoi(status.Value)
		}
		return true
	})
	for _, k := range credentials {
		kinds[problemBase+k.name] = k.status
	}
	if len(kinds) < 30 {
		t.Fatalf("found only %d kinds of problems", len(kinds))
	}
	return kinds
}

// TestOpenAPIProblems: the responses have every type of problem, with its status.
// not-found and method-not-allowed are of paths and methods that are not described.
func TestOpenAPIProblems(t *testing.T) {
	api, text := readOpenAPI(t)
	want := problemKinds(t)
	for _, k := range []kind{pathNotFound, methodNotAllowed} {
		if !strings.Contains(string(text), "`"+problemBase+k.name+"`") {
			t.Errorf("openapi.yaml does not mention %s", k.name)
		}
		delete(want, problemBase+k.name)
	}
	got, statusOf := make(map[string]int), make(map[string]string)
	for name, response := range api.Components.Responses {
		properties := response.Content["application/problem+json"].Schema.Properties
		status, _ := properties["status"].Const.(int)
		statusOf["#/components/responses/"+name] = fmt.Sprint(status)
		for _, problem := range properties["type"].Enum {
			if _, again := got[problem]; again {
				t.Errorf("%s is listed twice", problem)
			}
			got[problem] = status
		}
	}
	if !maps.Equal(got, want) {
		for problem, status := range want {
			if got[problem] != status {
				t.Errorf("%s: openapi.yaml has the status %d, the code %d", problem, got[problem], status)
			}
			delete(got, problem)
		}
		for problem := range got {
			t.Errorf("%s: the code has no such problem", problem)
		}
	}
	for path, item := range api.Paths {
		for method, o := range item.operations() {
			for status, response := range o.Responses {
				if response.Ref != "" && status != "default" && statusOf[response.Ref] != status {
					t.Errorf("%s %s: the response %s is %s, of the status %s", method, path, status, response.Ref, statusOf[response.Ref])
				}
			}
		}
	}
}

// TestOpenAPIReferences: every $ref leads somewhere, and nothing is empty, as it is
// where a comma in a text ends it.
func TestOpenAPIReferences(t *testing.T) {
	_, text := readOpenAPI(t)
	var document map[string]any
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	used := make(map[string]bool)
	var walk func(path string, node any)
	walk = func(path string, node any) {
		switch node := node.(type) {
		case nil:
			t.Errorf("%s is empty", path)
		case []any:
			for i, element := range node {
				walk(fmt.Sprintf("%s/%d", path, i), element)
			}
		case map[string]any:
			for key, value := range node {
				walk(path+"/"+key, value)
				if reference, ok := value.(string); ok && key == "$ref" {
					used[reference] = true
				}
			}
		}
	}
	walk("#", document)
	if len(used) < 20 {
		t.Errorf("found only %d references", len(used))
	}
	for reference := range used {
		var node any = document
		for name := range strings.SplitSeq(strings.TrimPrefix(reference, "#/"), "/") {
			parent, _ := node.(map[string]any)
			if node = parent[name]; node == nil {
				t.Errorf("there is no %s", reference)
				break
			}
		}
	}
}
