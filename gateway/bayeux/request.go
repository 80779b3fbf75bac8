package bayeux

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// badRequest is an error about a request as a whole.
type badRequest struct {
	status int
	detail string
}

func (e *badRequest) Error() string { return e.detail }

// Status is the HTTP status of the answer.
func (e *badRequest) Status() int { return e.status }

func refuse(status int, format string, args ...any) error {
	return &badRequest{status, fmt.Sprintf(format, args...)}
}

// request is what a client sent.
type request struct {
	messages []message
	callback string // of JSONP; empty: the answer is JSON
}

// methods are those that the endpoint takes.
const methods = "GET, OPTIONS, POST"

// read reads the messages of a request. Its errors are about the request as a whole.
func (s *Server) read(w http.ResponseWriter, r *http.Request) (*request, error) {
	switch r.Method {
	case http.MethodPost:
		return s.readPost(w, r)
	case http.MethodGet:
		return s.readGet(r)
	}
	w.Header().Set("Allow", methods)
	return nil, refuse(http.StatusMethodNotAllowed, "%s is not allowed here: send messages with POST, or with GET for callback-polling.", r.Method)
}

// callbackName is what may stand before the messages of an answer: names of JavaScript,
// with dots between them, and nothing that could be a script of its own.
var callbackName = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*(\.[A-Za-z_$][A-Za-z0-9_$]*)*$`)

const maxCallback = 128

// defaultCallback is the callback of a GET that names none.
const defaultCallback = "jsonpcallback"

// readGet reads a request of the connection type callback-polling.
func (s *Server) readGet(r *http.Request) (*request, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "The query is not what a URL can have: %v.", err)
	}
	q := &request{callback: defaultCallback}
	if query.Has("jsonp") {
		q.callback = query.Get("jsonp")
	}
	if len(q.callback) > maxCallback || !callbackName.MatchString(q.callback) {
		return nil, refuse(http.StatusBadRequest, "The parameter jsonp must be the name of a JavaScript function, of at most %d letters, digits, dots, _ and $.", maxCallback)
	}
	if !query.Has("message") {
		return nil, refuse(http.StatusBadRequest, "The parameter message is missing: it has the messages as JSON. Other clients send them with POST.")
	}
	return q, s.parseAll(q, query["message"])
}

// readPost reads the messages of a body: JSON, or a form with a field message.
func (s *Server) readPost(w http.ResponseWriter, r *http.Request) (*request, error) {
	media, err := mediaType(r)
	if err != nil {
		return nil, err
	}
	body, err := readBody(w, r, s.options.Limits().Body)
	if err != nil {
		return nil, err
	}
	q := &request{}
	form := media == "application/x-www-form-urlencoded"
	switch media {
	case "application/json", "text/json", "application/x-www-form-urlencoded":
	case "", "text/plain": // the latter is what Faye sends to other origins, with a form
		form = !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) && !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{"))
	default:
		return nil, refuse(http.StatusUnsupportedMediaType, "The Content-Type is %q: send messages as application/json, or as application/x-www-form-urlencoded with a field message.", media)
	}
	if !form {
		return q, s.parse(q, body)
	}
	fields, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "The body is not a form: %v.", err)
	}
	if !fields.Has("message") {
		return nil, refuse(http.StatusBadRequest, "The body is a form without the field message, which has the messages as JSON.")
	}
	return q, s.parseAll(q, fields["message"])
}

// utf8Names are the names of UTF-8, and of ASCII, which is a part of it.
var utf8Names = []string{"", "utf-8", "utf8", "us-ascii", "ascii"}

// mediaType returns the media type of r's body; empty if it names none.
func mediaType(r *http.Request) (string, error) {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return "", refuse(http.StatusUnsupportedMediaType, "The body has the Content-Encoding %q: send it without any.", coding)
	}
	field := r.Header.Get("Content-Type")
	if field == "" {
		return "", nil
	}
	media, parameters, err := mime.ParseMediaType(field)
	if err != nil {
		return "", refuse(http.StatusBadRequest, "The Content-Type is malformed: send application/json.")
	}
	if charset := parameters["charset"]; !slices.Contains(utf8Names, strings.ToLower(charset)) {
		return "", refuse(http.StatusUnsupportedMediaType, "The body has the charset %q: send UTF-8.", charset)
	}
	return media, nil
}

// readBody reads a body of at most limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int) ([]byte, error) {
	tooLarge := refuse(http.StatusRequestEntityTooLarge, "A request may have %d bytes at most (16 × limits.message, at least 1 MiB).", limit)
	if r.ContentLength > int64(limit) {
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, refuse(http.StatusRequestTimeout, "The body did not arrive in time: send it faster, or less at a time.")
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "The body did not arrive whole.")
	}
	return body, nil
}

// parseAll parses the values of the parameter message, each with one or several messages.
func (s *Server) parseAll(q *request, values []string) error {
	for _, value := range values {
		if err := s.parse(q, []byte(value)); err != nil {
			return err
		}
	}
	return nil
}

// parse adds the messages of a JSON text: an array of them, or one.
func (s *Server) parse(q *request, text []byte) error {
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\uFEFF")))
	var some []message
	err := errNotMessages
	switch {
	case !utf8.Valid(text):
	case bytes.HasPrefix(text, []byte("[")):
		err = json.Unmarshal(text, &some)
	case bytes.HasPrefix(text, []byte("{")):
		some = make([]message, 1)
		err = json.Unmarshal(text, &some[0])
	}
	if err != nil || slices.ContainsFunc(some, func(m message) bool { return m == nil }) {
		return refuse(http.StatusBadRequest, "The messages are not a JSON array of objects, or one object.")
	}
	q.messages = append(q.messages, some...)
	if limit := s.options.Limits().Batch; len(q.messages) > limit {
		return refuse(http.StatusRequestEntityTooLarge, "A request may have %d messages at most (limits.batch), this has %d.", limit, len(q.messages))
	}
	return nil
}

var errNotMessages = errors.New("not messages")

// bare returns q without its messages.
func (q *request) bare() *request {
	if q.callback == "" {
		return plainRequest
	}
	return &request{callback: q.callback}
}

// plainRequest is a request whose answer is JSON.
var plainRequest = new(request)

// contentType is that of the answer.
func (q *request) contentType() string {
	if q.callback != "" {
		return "text/javascript; charset=utf-8"
	}
	return "application/json"
}

// wrap makes the body of an answer of an array of messages. A script begins with a
// comment, so that no other content can be made of its first bytes.
func (q *request) wrap(array []byte) []byte {
	if q.callback == "" {
		return array
	}
	array = bytes.ReplaceAll(array, []byte("\u2028"), []byte(`\u2028`)) // line ends in older JavaScript
	array = bytes.ReplaceAll(array, []byte("\u2029"), []byte(`\u2029`))
	return append(append([]byte("/**/"+q.callback+"("), array...), ");"...)
}
