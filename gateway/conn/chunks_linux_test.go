package conn

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// untilBlank reads no further than the end of a header.
type untilBlank struct {
	r    *bufio.Reader
	done bool
}

func (u *untilBlank) Read(b []byte) (int, error) {
	if u.done {
		return 0, io.EOF
	}
	line, err := u.r.ReadSlice('\n')
	u.done = string(line) == "\r\n"
	return copy(b, line), err
}

// chunks reads a chunked body and is stricter than RFC 9112 section 7.1 lets
// it be: sizes are short lower-case hexadecimal without extensions, there is no
// trailer, and nothing comes after the last chunk.
type chunks struct {
	r    *bufio.Reader
	left int
}

func (c *chunks) Read(b []byte) (int, error) {
	if c.left == 0 {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return 0, fmt.Errorf("at a chunk's size %q: %w", line, noEOF(err))
		}
		size, ok := strings.CutSuffix(line, "\r\n")
		n, err := strconv.ParseUint(size, 16, 31)
		if !ok || err != nil || strconv.FormatUint(n, 16) != size {
			return 0, fmt.Errorf("chunk size %q", line)
		}
		if c.left = int(n); n == 0 {
			return 0, c.end()
		}
	}
	n, err := c.r.Read(b[:min(len(b), c.left)])
	if c.left -= n; c.left == 0 && err == nil {
		var end [2]byte
		if _, err := io.ReadFull(c.r, end[:]); err != nil || string(end[:]) != "\r\n" {
			return n, fmt.Errorf("a chunk ends with %q, %v", end, err)
		}
	}
	return n, noEOF(err)
}

func (c *chunks) end() error {
	rest, err := io.ReadAll(c.r)
	if err != nil || string(rest) != "\r\n" {
		return fmt.Errorf("after the last chunk: %q, %v", rest, err)
	}
	return io.EOF
}

// noEOF is for where the stream must not end.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
