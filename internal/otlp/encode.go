package otlp

import (
	"math"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/encoding/protowire"
)

// The numbers of fields are those of opentelemetry/proto/trace/v1/trace.proto
// (https://github.com/open-telemetry/opentelemetry-proto). Events, links and
// attributes of lists are left out: Comet's spans have none.

// appendRequest appends an ExportTraceServiceRequest with spans of one provider.
func appendRequest(b []byte, spans []sdk.ReadOnlySpan) []byte {
	return appendMessage(b, 1, func(b []byte) []byte { // ResourceSpans
		b = appendMessage(b, 1, func(b []byte) []byte { // Resource
			return appendAttributes(b, 1, spans[0].Resource().Attributes())
		})
		for len(spans) > 0 {
			scope, n := spans[0].InstrumentationScope(), 1
			for n < len(spans) && spans[n].InstrumentationScope() == scope {
				n++
			}
			same := spans[:n]
			spans = spans[n:]
			b = appendMessage(b, 2, func(b []byte) []byte { // ScopeSpans
				b = appendMessage(b, 1, func(b []byte) []byte { // InstrumentationScope
					b = appendString(b, 1, scope.Name)
					return appendString(b, 2, scope.Version)
				})
				for _, s := range same {
					b = appendMessage(b, 2, func(b []byte) []byte { return appendSpan(b, s) })
				}
				return appendString(b, 3, scope.SchemaURL)
			})
		}
		return b
	})
}

// The bits of a span's flags above those of W3C.
const (
	remoteIsKnown  = 1 << 8
	parentIsRemote = 1 << 9
)

func appendSpan(b []byte, s sdk.ReadOnlySpan) []byte {
	c, parent := s.SpanContext(), s.Parent()
	traceID, spanID := c.TraceID(), c.SpanID()
	b = appendBytes(b, 1, traceID[:])
	b = appendBytes(b, 2, spanID[:])
	b = appendString(b, 3, c.TraceState().String())
	if id := parent.SpanID(); id.IsValid() {
		b = appendBytes(b, 4, id[:])
	}
	b = appendString(b, 5, s.Name())
	b = appendVarint(b, 6, uint64(max(s.SpanKind(), trace.SpanKindUnspecified))) // numbered alike
	b = appendFixed64(b, 7, uint64(max(0, s.StartTime().UnixNano())))
	b = appendFixed64(b, 8, uint64(max(0, s.EndTime().UnixNano())))
	b = appendAttributes(b, 9, s.Attributes())
	b = appendVarint(b, 10, uint64(max(0, s.DroppedAttributes())))
	status := s.Status()
	b = appendMessage(b, 15, func(b []byte) []byte {
		b = appendString(b, 2, status.Description)
		switch status.Code {
		case codes.Ok:
			b = appendVarint(b, 3, 1)
		case codes.Error:
			b = appendVarint(b, 3, 2)
		}
		return b
	})
	flags := uint32(c.TraceFlags()) | remoteIsKnown
	if parent.IsRemote() {
		flags |= parentIsRemote
	}
	b = protowire.AppendTag(b, 16, protowire.Fixed32Type)
	return protowire.AppendFixed32(b, flags)
}

// appendAttributes appends each as a KeyValue with an AnyValue.
func appendAttributes(b []byte, number protowire.Number, attributes []attribute.KeyValue) []byte {
	for _, a := range attributes {
		b = appendMessage(b, number, func(b []byte) []byte {
			b = appendString(b, 1, string(a.Key))
			return appendMessage(b, 2, func(b []byte) []byte {
				switch v := a.Value; v.Type() {
				case attribute.BOOL:
					b = protowire.AppendTag(b, 2, protowire.VarintType)
					return protowire.AppendVarint(b, protowire.EncodeBool(v.AsBool()))
				case attribute.INT64:
					b = protowire.AppendTag(b, 3, protowire.VarintType)
					return protowire.AppendVarint(b, uint64(v.AsInt64()))
				case attribute.FLOAT64:
					return appendFixed64(b, 4, math.Float64bits(v.AsFloat64()))
				case attribute.STRING:
					return appendBytes(b, 1, []byte(v.AsString()))
				}
				return b
			})
		})
	}
	return b
}

// appendMessage appends a message of its own, also if it is empty.
func appendMessage(b []byte, number protowire.Number, fields func([]byte) []byte) []byte {
	return appendBytes(b, number, fields(nil))
}

func appendBytes(b []byte, number protowire.Number, v []byte) []byte {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendBytes(b, v)
}

func appendString(b []byte, number protowire.Number, v string) []byte {
	if v == "" {
		return b
	}
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendString(b, v)
}

func appendVarint(b []byte, number protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, number, protowire.VarintType)
	return protowire.AppendVarint(b, v)
}

func appendFixed64(b []byte, number protowire.Number, v uint64) []byte {
	b = protowire.AppendTag(b, number, protowire.Fixed64Type)
	return protowire.AppendFixed64(b, v)
}
