package otlp

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	spec "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collector decodes what it gets with OpenTelemetry's own types.
type collector struct {
	server  *httptest.Server
	traces  spec.TracesData
	headers http.Header
}

func newCollector(t *testing.T) *collector {
	c := new(collector)
	c.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			var err error
			if body, err = gzip.NewReader(r.Body); err != nil {
				t.Error(err)
				return
			}
		}
		content, err := io.ReadAll(body)
		if err := errors.Join(err, proto.Unmarshal(content, &c.traces)); err != nil {
			t.Error(err)
		}
		c.headers = r.Header
	}))
	t.Cleanup(c.server.Close)
	return c
}

// record makes one span, which e sends before record returns.
func record(t *testing.T, e *Exporter) (span, parent trace.SpanContext) {
	t.Helper()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(e), sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "comet"))))
	parent = trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1, 2}, SpanID: trace.SpanID{3, 4}, TraceFlags: trace.FlagsSampled, Remote: true,
	})
	ctx := trace.ContextWithRemoteSpanContext(t.Context(), parent)
	_, s := provider.Tracer("scope", trace.WithInstrumentationVersion("1.2")).Start(ctx, "publish",
		trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(time.Unix(1, 2)))
	s.SetAttributes(attribute.String("text", "ä"), attribute.String("empty", ""), attribute.Int("number", -5),
		attribute.Bool("yes", true), attribute.Bool("no", false), attribute.Float64("half", 0.5))
	s.SetStatus(codes.Error, "refused")
	s.End(trace.WithTimestamp(time.Unix(3, 4)))
	if err := provider.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	return s.SpanContext(), parent
}

func TestExport(t *testing.T) {
	for _, compression := range []string{"", "gzip"} {
		t.Run("compression "+compression, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
			t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "a=1")
			t.Setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "Authorization=Bearer%20secret, b = 2")
			c := newCollector(t)
			e, err := New(c.server.URL)
			if err != nil {
				t.Fatal(err)
			}
			span, parent := record(t, e)
			if c.headers.Get("Authorization") != "Bearer secret" || c.headers.Get("b") != "2" || c.headers.Get("a") != "" {
				t.Errorf("headers %v", c.headers)
			}
			if len(c.traces.ResourceSpans) != 1 || len(c.traces.ResourceSpans[0].ScopeSpans) != 1 || len(c.traces.ResourceSpans[0].ScopeSpans[0].Spans) != 1 {
				t.Fatalf("not one span: %v", &c.traces)
			}
			of := c.traces.ResourceSpans[0]
			if a := of.Resource.Attributes; len(a) != 1 || a[0].Key != "service.name" || a[0].Value.GetStringValue() != "comet" {
				t.Errorf("resource %v", of.Resource)
			}
			if s := of.ScopeSpans[0].Scope; s.Name != "scope" || s.Version != "1.2" {
				t.Errorf("scope %v", s)
			}
			got := of.ScopeSpans[0].Spans[0]
			traceID, spanID, parentID := span.TraceID(), span.SpanID(), parent.SpanID()
			if string(got.TraceId) != string(traceID[:]) || string(got.SpanId) != string(spanID[:]) || string(got.ParentSpanId) != string(parentID[:]) {
				t.Errorf("IDs of %v, want %v under %v", got, span, parent)
			}
			if got.Name != "publish" || got.Kind != spec.Span_SPAN_KIND_SERVER || got.StartTimeUnixNano != 1_000_000_002 || got.EndTimeUnixNano != 3_000_000_004 {
				t.Errorf("span %v", got)
			}
			if got.Status.Code != spec.Status_STATUS_CODE_ERROR || got.Status.Message != "refused" {
				t.Errorf("status %v", got.Status)
			}
			if want := uint32(spec.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK|spec.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK) | 1; got.Flags != want {
				t.Errorf("flags %x, want %x", got.Flags, want)
			}
			var attributes []string
			for _, a := range got.Attributes {
				attributes = append(attributes, a.Key+" "+strings.ReplaceAll(fmt.Sprint(a.Value), "  ", " "))
			}
			want := `text string_value:"ä", empty string_value:"", number int_value:-5, yes bool_value:true, no bool_value:false, half double_value:0.5`
			if got := strings.Join(attributes, ", "); got != want {
				t.Errorf("attributes %s\nwant %s", got, want)
			}
		})
	}
}

// respond is a transport without a network: a response and a body for each request.
type respond []http.Response

func (r *respond) RoundTrip(*http.Request) (*http.Response, error) {
	if len(*r) == 0 {
		return nil, errors.New("one request too many")
	}
	response := (*r)[0]
	*r = (*r)[1:]
	return &response, nil
}

func answer(status int, header, value, body string) http.Response {
	return http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{header: {value}}, Body: io.NopCloser(strings.NewReader(body))}
}

func TestAnswers(t *testing.T) {
	partial := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 3)
	partial = protowire.AppendString(protowire.AppendTag(partial, 2, protowire.BytesType), "too old")
	refusal := string(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), partial))
	for name, c := range map[string]struct {
		answers []http.Response
		err     string // "": none
		atLeast time.Duration
		atMost  time.Duration
	}{
		"taken":                {answers: []http.Response{answer(200, "Content-Type", protobuf, "")}},
		"taken in part":        {answers: []http.Response{answer(200, "Content-Type", protobuf, refusal)}, err: "rejected 3 spans: too old"},
		"nonsense":             {answers: []http.Response{answer(200, "Content-Type", protobuf, "\xff\xff")}},
		"another content":      {answers: []http.Response{answer(200, "Content-Type", "text/plain", refusal)}},
		"wrong":                {answers: []http.Response{answer(400, "A", "b", "no such tenant\n")}, err: "Bad Request: no such tenant"},
		"busy once":            {answers: []http.Response{answer(503, "A", "b", ""), answer(200, "A", "b", "")}, atLeast: firstPause / 2, atMost: firstPause * 3 / 2},
		"busy, says how long":  {answers: []http.Response{answer(429, "Retry-After", "20", ""), answer(200, "A", "b", "")}, atLeast: 20 * time.Second, atMost: 20 * time.Second},
		"busy for longer":      {answers: []http.Response{answer(503, "Retry-After", "300", "")}, err: "Service Unavailable", atLeast: attemptsMost, atMost: attemptsMost},
		"busy until some date": {answers: []http.Response{answer(502, "Retry-After", "Sat, 01 Jan 2000 00:00:30 GMT", ""), answer(200, "A", "b", "")}, atLeast: 30 * time.Second, atMost: 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, err := New("http://collector/v1/traces")
				if err != nil {
					t.Fatal(err)
				}
				transport := respond(c.answers)
				e.client.Transport = &transport
				began := time.Now() // of a bubble: the start of 2000
				err = e.ExportSpans(t.Context(), spans(t))
				if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, want %q", err, c.err)
				}
				if took := time.Since(began); took < c.atLeast || took > c.atMost {
					t.Errorf("took %v, want %v to %v", took, c.atLeast, c.atMost)
				}
				if len(transport) > 0 {
					t.Errorf("%d answers are left", len(transport))
				}
			})
		})
	}
}

// Shutdown ends the wait of ExportSpans.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := New("http://collector/v1/traces")
		if err != nil {
			t.Fatal(err)
		}
		e.client.Transport = &respond{answer(503, "Retry-After", "20", "")}
		time.AfterFunc(time.Second, func() { _ = e.Shutdown(context.Background()) })
		began := time.Now()
		if err := e.ExportSpans(t.Context(), spans(t)); err == nil || time.Since(began) != time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// spans are one.
func spans(t *testing.T) []sdk.ReadOnlySpan {
	var kept keep
	provider := sdk.NewTracerProvider(sdk.WithSyncer(&kept))
	_, s := provider.Tracer("").Start(t.Context(), "a")
	s.End()
	return kept
}

type keep []sdk.ReadOnlySpan

func (k *keep) ExportSpans(_ context.Context, spans []sdk.ReadOnlySpan) error {
	*k = append(*k, spans...)
	return nil
}

func (k *keep) Shutdown(context.Context) error { return nil }

func TestMistakes(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for variable, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_TIMEOUT":            "5s",
		"OTEL_EXPORTER_OTLP_COMPRESSION":        "zstd",
		"OTEL_EXPORTER_OTLP_HEADERS":            "secret",
		"OTEL_EXPORTER_OTLP_TRACES_HEADERS":     "a=secret%",
		"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE": missing,
	} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv(variable, value)
			_, err := New("http://collector")
			if err == nil || !strings.HasPrefix(err.Error(), variable+": ") || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v", err)
			}
		})
	}
}
