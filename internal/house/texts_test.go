package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the module's folder.
const root = "../../"

// a text is a piece of a file that people read.
type text struct {
	words string // with its line breaks, without comment marks
	first int    // its first line in the file
}

// line is the file's line of the byte of words at offset.
func (t text) line(offset int) int { return t.first + strings.Count(t.words[:offset], "\n") }

// around is the lines that hold the words from begin to end.
func (t text) around(begin, end int) string {
	begin = strings.LastIndexByte(t.words[:begin], '\n') + 1
	if n := strings.IndexByte(t.words[end:], '\n'); n >= 0 {
		return t.words[begin : end+n]
	}
	return t.words[begin:]
}

// others are files of other projects, and lists of versions.
var others = regexp.MustCompile(`(^|/)(uplot/uPlot.*|package-lock\.json|go\.sum|LICENSE.*|cometjs/comet\.js|issues/.*)$`)

// files are the paths of all files with texts, from root.
func files(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "node_modules" || entry.Name() == "bin"):
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		name, err = filepath.Rel(root, name)
		if name = filepath.ToSlash(name); err == nil && !others.MatchString(name) && kindOf(name) != nil {
			all = append(all, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// kindOf returns what takes the texts out of a file, or nil for files without.
func kindOf(name string) func([]byte) ([]text, error) {
	switch path.Ext(name) {
	case ".go":
		return goTexts
	case ".md":
		return markdownTexts
	case ".js", ".ts", ".css", ".c":
		return func(b []byte) ([]text, error) { return codeTexts(b, slashes) }
	case ".lua":
		return func(b []byte) ([]text, error) { return codeTexts(b, dashes) }
	case ".yaml", ".yml", ".sh", ".conf", ".cfg", ".env", ".tpl", ".html", ".txt", ".json":
		return func(b []byte) ([]text, error) { return lineTexts(b, hash), nil }
	}
	if base := path.Base(name); base == "Makefile" || base == "Dockerfile" || base == "run" {
		return func(b []byte) ([]text, error) { return lineTexts(b, hash), nil }
	}
	return nil
}

func textsOf(name string, content []byte) ([]text, error) { return kindOf(name)(content) }

// goTexts are the comments and string literals of a Go file.
func goTexts(content []byte) ([]text, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", content, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var all []text
	for _, group := range file.Comments {
		var lines []string
		for _, c := range group.List {
			lines = append(lines, strings.Split(c.Text, "\n")...)
		}
		all = append(all, joined(lines, slashes, set.Position(group.Pos()).Line))
	}
	escapes := strings.NewReplacer(`\n`, ". ", `\t`, "  ", `\"`, ` "`)
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			words := lit.Value[1 : len(lit.Value)-1]
			if lit.Value[0] == '"' {
				words = escapes.Replace(words)
			}
			all = append(all, text{words, set.Position(lit.Pos()).Line})
		}
		return true
	})
	return all, nil
}

// The marks that begin, and end, a line of a comment.
var (
	slashes = regexp.MustCompile(`^\s*(//+|/\*+|\*/?)\s?|\*/\s*$`)
	dashes  = regexp.MustCompile(`^\s*--+\s?`)
	hash    = regexp.MustCompile(`^\s*(#+|<!--)\s?`)
)

// quoted is what people may read in a line of code: strings, and a comment at its end.
var quoted = regexp.MustCompile(`'[^']*'|"[^"]*"|\x60[^\x60]*\x60|\s(//|--)\s.*`)

// codeTexts are the comments and strings of JavaScript, CSS, C and Lua.
func codeTexts(content []byte, mark *regexp.Regexp) ([]text, error) {
	lines := strings.Split(string(content), "\n")
	for i, line := range lines {
		if !mark.MatchString(line) {
			lines[i] = strings.Join(quoted.FindAllString(line, -1), " ")
		}
	}
	return lineTexts([]byte(strings.Join(lines, "\n")), mark), nil
}

// lineTexts are the runs of comment lines of a file, and its other lines one by one.
func lineTexts(content []byte, mark *regexp.Regexp) []text {
	var all []text
	lines := strings.Split(string(content), "\n")
	for i := 0; i < len(lines); i++ {
		begin := i
		for mark.MatchString(lines[i]) && i+1 < len(lines) && mark.MatchString(lines[i+1]) {
			i++
		}
		all = append(all, joined(lines[begin:i+1], mark, begin+1))
	}
	return all
}

func joined(lines []string, mark *regexp.Regexp, first int) text {
	plain := make([]string, len(lines))
	for i, line := range lines {
		plain[i] = mark.ReplaceAllString(line, "")
	}
	return text{strings.Join(plain, "\n"), first}
}

var code = regexp.MustCompile("`[^`\n]*`")

// markdownTexts are the paragraphs of Markdown; of code blocks, the comments.
func markdownTexts(content []byte) ([]text, error) {
	lines := strings.Split(string(content), "\n")
	fenced := false
	for i, line := range lines {
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence:
			fenced = !fenced
			lines[i] = ""
		case fenced:
			_, comment, ok := strings.Cut(line, "# ")
			if !ok {
				_, comment, _ = strings.Cut(line, "// ")
			}
			lines[i] = comment
		default:
			lines[i] = code.ReplaceAllString(line, "`x`")
		}
	}
	return []text{{strings.Join(lines, "\n"), 1}}, nil
}
