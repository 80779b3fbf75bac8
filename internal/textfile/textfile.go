// Package textfile reads small text files that people write by hand or with an
// editor: secrets, keys and certificates.
package textfile

import (
	"bytes"
	"fmt"
	"os"
)

var (
	utf8Mark   = []byte("\xef\xbb\xbf")
	utf16Marks = [][]byte{[]byte("\xff\xfe"), []byte("\xfe\xff")}
)

// Read returns the content of a file without the byte order mark that some
// editors put before UTF-8. A file in UTF-16, which has such a mark too, is an
// error: what it holds would not be the text that its author sees.
func Read(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for _, mark := range utf16Marks {
		if bytes.HasPrefix(text, mark) {
			return nil, fmt.Errorf("%s is UTF-16 text: save it as UTF-8", path)
		}
	}
	return TrimMark(text), nil
}

// TrimMark returns text without a leading byte order mark of UTF-8.
func TrimMark(text []byte) []byte { return bytes.TrimPrefix(text, utf8Mark) }
