// Package otlp sends spans to an OpenTelemetry collector: OTLP over HTTP, in
// protobuf. OpenTelemetry's own exporter does the same, but brings gRPC with it,
// which is a seventh of Comet's binary.
package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/protobuf/encoding/protowire"
)

// Exporter is a sdk.SpanExporter.
type Exporter struct {
	endpoint string
	headers  map[string]string
	compress bool
	client   *http.Client

	ctx  context.Context // ends with Shutdown
	stop context.CancelFunc
}

// New returns an Exporter that posts to the URL endpoint, and connects to it with
// the first spans. These variables of the environment apply, also with TRACES_
// after OTLP_, which comes first:
//
//	OTEL_EXPORTER_OTLP_HEADERS             name=value, several with commas, values percent-encoded
//	OTEL_EXPORTER_OTLP_TIMEOUT             of one request, in milliseconds; default 10000
//	OTEL_EXPORTER_OTLP_COMPRESSION         gzip or none; default none
//	OTEL_EXPORTER_OTLP_CERTIFICATE         file with the authorities that may sign the collector's certificate
//	OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE  files of the client's certificate
//	OTEL_EXPORTER_OTLP_CLIENT_KEY          and its key
func New(endpoint string) (*Exporter, error) {
	e := &Exporter{endpoint: endpoint, client: &http.Client{Timeout: 10 * time.Second}}
	if name, value := environment("TIMEOUT"); value != "" {
		ms, err := strconv.Atoi(value)
		if err != nil || ms < 0 {
			return nil, fmt.Errorf("%s: %q is no number of milliseconds", name, value)
		}
		e.client.Timeout = time.Duration(ms) * time.Millisecond
	}
	switch name, value := environment("COMPRESSION"); value {
	case "", "none":
	case "gzip":
		e.compress = true
	default:
		return nil, fmt.Errorf("%s: %q is neither gzip nor none", name, value)
	}
	name, value := environment("HEADERS")
	var err error
	if e.headers, err = parseHeaders(value); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if transport.TLSClientConfig, err = tlsConfig(); err != nil {
		return nil, err
	}
	e.client.Transport = transport
	e.ctx, e.stop = context.WithCancel(context.Background())
	return e, nil
}

// environment returns the variable that applies, and its value.
func environment(suffix string) (name, value string) {
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"} {
		name = prefix + suffix
		if value = strings.TrimSpace(os.Getenv(name)); value != "" {
			break
		}
	}
	return name, value
}

// parseHeaders reads headers as OTEL_EXPORTER_OTLP_HEADERS has them. Its errors
// quote no value, which may be a secret.
func parseHeaders(list string) (map[string]string, error) {
	headers := make(map[string]string)
	for pair := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, errors.New("write each header as name=value")
		}
		value, err := url.PathUnescape(value)
		if err != nil {
			return nil, fmt.Errorf("the value of %s is not percent-encoded", name)
		}
		headers[name] = strings.TrimSpace(value)
	}
	return headers, nil
}

// tlsConfig returns nil if the environment has no certificates.
func tlsConfig() (*tls.Config, error) {
	ca, authorities := environment("CERTIFICATE")
	cert, certFile := environment("CLIENT_CERTIFICATE")
	_, keyFile := environment("CLIENT_KEY")
	if authorities == "" && (certFile == "" || keyFile == "") {
		return nil, nil
	}
	c := new(tls.Config)
	if authorities != "" {
		pem, err := os.ReadFile(authorities)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ca, err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: %s has no certificate", ca, authorities)
		}
	}
	if certFile != "" && keyFile != "" {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cert, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// The pauses between attempts double from the first to the longest, and each is
// random by a half. Attempts end after attemptsMost.
const (
	firstPause   = 5 * time.Second
	longestPause = 30 * time.Second
	attemptsMost = time.Minute
)

// ExportSpans implements sdk.SpanExporter. It sends spans again while the
// collector answers that it is busy, until ctx or attemptsMost ends.
func (e *Exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if len(spans) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, attemptsMost)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)()

	body := appendRequest(nil, spans)
	if e.compress {
		var compressed bytes.Buffer
		w := gzip.NewWriter(&compressed)
		_, _ = w.Write(body) // it writes to memory
		_ = w.Close()
		body = compressed.Bytes()
	}
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		wait, err := e.send(ctx, body)
		if wait < 0 {
			return err
		}
		select {
		case <-time.After(max(wait, pause/2+rand.N(pause))):
		case <-ctx.Done():
			return err
		}
	}
}

// final is what send returns if sending again does not help.
const final time.Duration = -1

// send makes one attempt. wait is final, or at least how long to wait before the next.
func (e *Exporter) send(ctx context.Context, body []byte) (wait time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.endpoint, bytes.NewReader(body))
	if err != nil {
		return final, err
	}
	r.Header.Set("User-Agent", "comet")
	for name, value := range e.headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("Content-Type", protobuf)
	if e.compress {
		r.Header.Set("Content-Encoding", "gzip")
	}
	response, err := e.client.Do(r)
	if err != nil {
		return final, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	switch {
	case response.StatusCode/100 == 2 && err != nil:
		return final, err
	case response.StatusCode/100 == 2 && response.Header.Get("Content-Type") == protobuf:
		return final, rejected(answer)
	case response.StatusCode/100 == 2:
		return final, nil
	}
	err = fmt.Errorf("%s: %s: %s", e.endpoint, response.Status, bytes.TrimSpace(answer[:min(len(answer), 200)]))
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return retryAfter(response.Header.Get("Retry-After")), err
	}
	return final, err
}

const protobuf = "application/x-protobuf"

// retryAfter returns 0 for a value that is missing or wrong.
func retryAfter(value string) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// rejected returns what an ExportTraceServiceResponse says about spans that the
// collector has not taken.
func rejected(response []byte) error {
	partial, _ := protowire.ConsumeBytes(field(response, 1))
	spans, _ := protowire.ConsumeVarint(field(partial, 1))
	message, _ := protowire.ConsumeBytes(field(partial, 2))
	if spans == 0 && len(message) == 0 {
		return nil
	}
	return fmt.Errorf("the collector has rejected %d spans: %s", spans, message)
}

// field returns m from the value of its first field of that number, nil if there is none.
func field(m []byte, number protowire.Number) []byte {
	for len(m) > 0 {
		found, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			return nil
		}
		if m = m[n:]; found == number {
			return m
		}
		if n = protowire.ConsumeFieldValue(found, kind, m); n < 0 {
			return nil
		}
		m = m[n:]
	}
	return nil
}

// Shutdown implements sdk.SpanExporter. It ends what ExportSpans does.
func (e *Exporter) Shutdown(context.Context) error {
	e.stop()
	e.client.CloseIdleConnections()
	return nil
}
