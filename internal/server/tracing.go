package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"comet/config"
	"comet/gateway"
	"comet/gateway/trace"
	"comet/internal/otlp"
	"comet/pubsub"
)

// tracing makes spans of a node's part in a publish, and sends them to a
// collector:
//
//	publish   the request, at the node that it comes to; its parent is the client's
//	relay     from Redis to each node that has subscribers; its parent is publish
//	write     from there to the first subscriber who has it; its parent is relay
//
// Without tracing.endpoint there is no tracing, and it costs nothing.
type tracing struct {
	provider *sdk.TracerProvider
	tracer   oteltrace.Tracer
	relayed  relayed
}

// newTracing is nil if no spans are wanted. Close it in the end.
func newTracing(s *config.Tracing, node, version string, logger *slog.Logger) (*tracing, error) {
	if s.Endpoint == "" {
		return nil, nil
	}
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("tracing.endpoint: %w", err)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces" // where collectors have it
	}
	exporter, err := otlp.New(u.String())
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	logTrouble(logger)
	about, err := resource.Merge(resource.NewSchemaless(
		attribute.String("service.name", "comet"),
		attribute.String("service.version", version),
		attribute.String("service.instance.id", node),
	), resource.Environment()) // OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	provider := sdk.NewTracerProvider(
		sdk.WithBatcher(exporter), // which drops what is too much
		sdk.WithResource(about),
		sdk.WithIDGenerator(requestIDs{}),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(s.Sample))),
	)
	return &tracing{provider: provider, tracer: provider.Tracer("comet")}, nil
}

// logTrouble logs what the spans' way to the collector says, once a minute: while
// that is away each batch fails.
func logTrouble(logger *slog.Logger) {
	seldom := rate.Sometimes{Interval: time.Minute}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		seldom.Do(func() { logger.Warn("spans lost", "setting", "tracing.endpoint", "error", err) })
	}))
}

// tracingFlush is for the last spans to be sent.
const tracingFlush = 5 * time.Second

// close sends the last spans.
func (t *tracing) close(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tracingFlush)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		otel.Handle(err)
	}
}

// Publish implements gateway.Tracer.
func (t *tracing) Publish(ctx context.Context) gateway.PublishSpan {
	if r := trace.FromContext(ctx); r != nil && r.Span != (trace.SpanID{}) {
		ctx = under(ctx, r.Parent)
	}
	_, span := t.tracer.Start(ctx, "publish", oteltrace.WithSpanKind(oteltrace.SpanKindServer))
	return publishSpan{span}
}

// under is ctx with a parent that is elsewhere.
func under(ctx context.Context, p trace.Parent) context.Context {
	var flags oteltrace.TraceFlags
	return oteltrace.ContextWithRemoteSpanContext(ctx, oteltrace.NewSpanContext(oteltrace.SpanContextConfig{
		TraceID: oteltrace.TraceID(p.Trace), SpanID: oteltrace.SpanID(p.Span), TraceFlags: flags.WithSampled(p.Sampled), Remote: true,
	}))
}

// publishSpan is a gateway.PublishSpan.
type publishSpan struct{ span oteltrace.Span }

func (s publishSpan) Carry() string {
	c := s.span.SpanContext()
	if !c.IsSampled() {
		return ""
	}
	return trace.Parent{Trace: trace.ID(c.TraceID()), Span: trace.SpanID(c.SpanID()), Sampled: true}.String()
}

func (s publishSpan) End(p gateway.Published) {
	if s.span.IsRecording() {
		s.span.SetAttributes(
			attribute.String("comet.outcome", p.Outcome),
			attribute.Int("comet.messages", p.Messages),
			attribute.Int("comet.bytes", p.Bytes),
		)
		if p.Channel != "" {
			s.span.SetAttributes(attribute.String("comet.channel", p.Channel))
		}
		if p.Failed {
			s.span.SetStatus(codes.Error, p.Outcome)
		}
	}
	s.span.End()
}

// relay is for pubsub.Options.Relayed. The clock of Redis, which says when the
// span begins, may be ahead of ours.
func (t *tracing) relay(m *pubsub.Message) {
	parent, ok := trace.Parse(m.Trace)
	if !ok {
		return
	}
	now := time.Now()
	began := m.Time
	if began.After(now) {
		began = now
	}
	_, span := t.tracer.Start(under(context.Background(), parent), "relay",
		oteltrace.WithSpanKind(oteltrace.SpanKindConsumer), oteltrace.WithTimestamp(began),
		oteltrace.WithAttributes(attribute.String("comet.channel", m.Channel)))
	span.End(oteltrace.WithTimestamp(now))
	if c := span.SpanContext(); c.IsSampled() {
		t.relayed.put(m, arrival{now, c})
	}
}

// write is for conn.Portable.Written.
func (t *tracing) write(m *pubsub.Message) {
	arrived, ok := t.relayed.take(m)
	if !ok {
		return // written before, or read from the log for one who came later
	}
	_, span := t.tracer.Start(oteltrace.ContextWithSpanContext(context.Background(), arrived.relay), "write",
		oteltrace.WithTimestamp(arrived.at), oteltrace.WithAttributes(attribute.String("comet.channel", m.Channel)))
	span.End()
}
