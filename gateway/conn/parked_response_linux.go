package conn

import (
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"comet/gateway/wire"
)

// writeChunk writes head and then b as a chunk, without copying b.
func writeChunk(connection net.Conn, head, b []byte) (n int64, err error) {
	if len(b) == 0 {
		return 0, nil // an empty chunk would end the body
	}
	if c, ok := connection.(*countedConn); ok {
		connection = c.Conn // one writev(2), as only a *net.TCPConn has it
	}
	size := append(strconv.AppendUint(head, uint64(len(b)), 16), "\r\n"...)
	parts := net.Buffers{size, b, []byte("\r\n")}
	return parts.WriteTo(connection)
}

// streamHead is the header of a chunked response up to its date. The connection ends
// with the response: a proxy that kept it would lose the next request.
func streamHead(header http.Header, f wire.Format, c Coding) string {
	setStreamHeader(header, f, c)
	header.Set("Connection", "close")
	header.Set("Transfer-Encoding", "chunked")
	return string(appendHeader([]byte("HTTP/1.1 200 OK\r\n"), header))
}

// appendHead appends a header that lacks only its date, from httpDate.
func appendHead(b []byte, head, date string) []byte {
	b = append(b, head...)
	b = append(b, "Date: "...)
	b = append(b, date...)
	return append(b, "\r\n\r\n"...)
}

// appendHeader appends the fields, sorted by name.
func appendHeader(b []byte, header http.Header) []byte {
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, v := range header[name] {
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, headerValue.Replace(v)...)
			b = append(b, "\r\n"...)
		}
	}
	return b
}

// headerValue replaces line breaks in values, as net/http does.
var headerValue = strings.NewReplacer("\n", " ", "\r", " ")

// pollHead is the header of a poll's answer up to its length and date.
func pollHead(header http.Header, contentType string) string {
	SetAnswerHeader(header, contentType)
	return string(appendHeader([]byte("HTTP/1.1 200 OK\r\n"), header))
}

// connectionClose follows pollHead in the last answer on a connection.
const connectionClose = "Connection: close\r\n"

// appendAnswer appends a whole response; date is from httpDate.
func appendAnswer(b []byte, head, date string, body []byte) []byte {
	b = append(b, head...)
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = appendHead(append(b, "\r\n"...), "", date)
	return append(b, body...)
}

// httpDate formats t for the Date header.
func httpDate(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

// appendChunk appends data as a chunk (RFC 9112 section 7.1).
func appendChunk(b, data []byte) []byte {
	if len(data) == 0 {
		return b // an empty chunk would end the body
	}
	b = strconv.AppendUint(b, uint64(len(data)), 16)
	b = append(b, "\r\n"...)
	b = append(b, data...)
	return append(b, "\r\n"...)
}

// lastChunk ends a body.
const lastChunk = "0\r\n\r\n"
