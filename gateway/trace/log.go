package trace

import (
	"context"
	"log/slog"
)

// Handler adds to each line that is logged with the context of a request which
// one that is: `trace_id`, and `request_id` if the client gave one.
func Handler(h slog.Handler) slog.Handler { return handler{h} }

type handler struct{ slog.Handler }

func (h handler) Handle(ctx context.Context, line slog.Record) error {
	if r := FromContext(ctx); r != nil {
		line.AddAttrs(slog.String("trace_id", r.Trace.String()))
		if r.ID != "" {
			line.AddAttrs(slog.String("request_id", r.ID))
		}
	}
	return h.Handler.Handle(ctx, line)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
