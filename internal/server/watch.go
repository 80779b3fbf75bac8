package server

import (
	"context"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Files are looked at once they have been left alone for watchSettle, so that
// no file is read half written, and in a folder where something happens all the time
// after watchPatience.
const (
	watchSettle   = 200 * time.Millisecond
	watchPatience = 2 * time.Second
)

// watch reports when files may have changed. It looks at their folders, and at
// those of what symbolic links name: editors replace files, and Kubernetes swaps
// a link beside the files of a ConfigMap or Secret.
type watch struct {
	watcher *fsnotify.Watcher
	folders map[string]bool // that are watched
	logger  *slog.Logger
}

func newWatch(logger *slog.Logger) (*watch, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	return &watch{watcher: watcher, folders: make(map[string]bool), logger: logger}, nil
}

func (w *watch) close() { _ = w.watcher.Close() }

// set replaces the files to watch.
func (w *watch) set(files []string) {
	want := make(map[string]bool)
	for _, file := range files {
		want[filepath.Dir(file)] = true
		if real, err := filepath.EvalSymlinks(file); err == nil {
			want[filepath.Dir(real)] = true
		}
	}
	for folder := range w.folders {
		if !want[folder] {
			_ = w.watcher.Remove(folder) // it may be gone
			delete(w.folders, folder)
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(want)) {
		if w.folders[folder] {
			continue
		}
		if err := w.watcher.Add(folder); err != nil {
			w.logger.Warn("cannot watch configuration folder; send SIGHUP after a change", "folder", folder, "error", err)
			continue
		}
		w.folders[folder] = true
	}
}

// run sends to changed until ctx ends. One that was not received yet is
// enough.
func (w *watch) run(ctx context.Context, changed chan<- struct{}) {
	settled := time.NewTimer(0)
	<-settled.C
	var since time.Time // the first event that was not sent; zero: all were
	for {
		select {
		case <-w.watcher.Events:
			now := time.Now()
			if since.IsZero() {
				since = now
			}
			settled.Reset(min(watchSettle, max(0, watchPatience-now.Sub(since))))
		case err := <-w.watcher.Errors:
			w.logger.Warn("configuration file changes may have been missed; send SIGHUP after a change", "error", err)
		case <-settled.C:
			since = time.Time{}
			select {
			case changed <- struct{}{}:
			default:
			}
		case <-ctx.Done():
			settled.Stop()
			return
		}
	}
}
