package metrics

import (
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Warnings logs at most one warning per minute, so that what others send cannot
// fill the log. It may be used concurrently.
type Warnings struct {
	logger  *slog.Logger
	limiter *rate.Limiter
	skipped atomic.Int64 // since the last warning
}

// NewWarnings returns Warnings that go to logger.
func NewWarnings(logger *slog.Logger) *Warnings {
	return &Warnings{logger: logger, limiter: rate.NewLimiter(rate.Every(time.Minute), 1)}
}

// Warn logs a warning, or counts it if one was logged within the last minute. The
// next that is logged has the count as the attribute more_since_last_warning.
func (w *Warnings) Warn(message string, args ...any) {
	if !w.limiter.Allow() {
		w.skipped.Add(1)
		return
	}
	w.logger.Warn(message, append(args, "more_since_last_warning", w.skipped.Swap(0))...)
}
