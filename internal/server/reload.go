package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"comet/config"
)

// reloader has a node that runs take what changes in its settings.
type reloader struct {
	load   func() (*config.Loaded, error)
	file   string // of settings; empty: none
	node   *node
	level  *slog.LevelVar
	logger *slog.Logger
	asked  chan string // why to reload; a request at a time waits
	watch  *watch      // nil: SIGHUP alone

	// Owned by run.
	running *config.Loaded
	taken   digests // of files as the node has them
	seen    digests // of files as they were last read
}

// digests is the content of files, by path. One that cannot be read has none.
type digests map[string][sha256.Size]byte

// newReloader accepts requests at once; run acts on them.
func newReloader(load func() (*config.Loaded, error), file string, running *config.Loaded, n *node, level *slog.LevelVar) *reloader {
	r := &reloader{
		load: load, file: file, node: n, level: level, logger: n.logger,
		running: running, asked: make(chan string, 1),
	}
	r.taken = digestsOf(r.files())
	r.seen = r.taken
	var err error
	if r.watch, err = newWatch(n.logger); err != nil {
		r.logger.Warn("cannot watch configuration files; send SIGHUP after a change", "error", err)
		return r
	}
	r.watch.set(slices.Collect(maps.Keys(r.files())))
	return r
}

// ask has run reload.
func (r *reloader) ask(reason string) {
	select {
	case r.asked <- reason:
	default: // run will do so soon
	}
}

// run reloads when it is asked to, or when a file has changed, until ctx ends.
func (r *reloader) run(ctx context.Context) {
	changed := make(chan struct{}, 1)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		if r.watch != nil {
			defer r.watch.close()
			r.watch.run(ctx, changed)
		}
	}()
	defer func() { <-watching }()
	for {
		select {
		case reason := <-r.asked:
			r.reload(reason)
		case <-changed:
			if r.worthReading() {
				r.reload("a file changed")
			}
		case <-ctx.Done():
			return
		}
		if r.watch != nil { // links may lead elsewhere now
			r.watch.set(slices.Collect(maps.Keys(r.files())))
		}
	}
}

// files is every file that the node reads settings from, and which setting says
// so; of the file of settings itself none does.
func (r *reloader) files() map[string]string {
	a := &r.running.Auth
	files := map[string]string{a.KeysFile: "auth.keys_file", a.JWT.SecretFile: "auth.jwt.secret_file", r.file: ""}
	for _, path := range a.JWT.PublicKeys {
		files[path] = "auth.jwt.public_keys"
	}
	delete(files, "")
	return files
}

func digestsOf(files map[string]string) digests {
	all := make(digests)
	for path := range files {
		if content, err := os.ReadFile(path); err == nil {
			all[path] = sha256.Sum256(content)
		}
	}
	return all
}

var emptyFile = sha256.Sum256(nil)

// worthReading reports whether a file differs from when it was last read. One
// that has become empty is about to be written: it is valid, but not
// intended.
func (r *reloader) worthReading() bool {
	now := digestsOf(r.files())
	for path, digest := range now {
		if digest == emptyFile && r.seen[path] != emptyFile {
			return false
		}
	}
	return !maps.Equal(now, r.seen)
}

// reload reads all settings again and applies those that need no restart. If a
// setting is wrong it logs that and changes nothing.
func (r *reloader) reload(why string) {
	r.seen = digestsOf(r.files())
	if err := r.take(why); err != nil {
		for _, mistake := range mistakesOf(err) {
			r.logger.Error("config reload failed; keeping the current settings", "reason", why, "error", mistake)
		}
	}
}

func mistakesOf(err error) []error {
	if all, ok := errors.AsType[config.Problems](err); ok {
		return all.Unwrap()
	}
	return []error{err}
}

func (r *reloader) take(why string) error {
	loaded, err := r.load()
	if err != nil {
		return err
	}
	both, changes, err := r.running.Reload(loaded)
	if err != nil {
		return err
	}
	before := r.running
	r.running = both // whose files are read now
	content := digestsOf(r.files())
	files := r.changedFiles(content, changes)
	if err := r.node.reload(&both.Settings, tokensChanged(changes, files)); err != nil {
		r.running = before
		return err
	}
	if both.Log.Level != before.Log.Level { // else it stays what an operator may have made it
		r.level.Set(both.Log.Level)
	}
	if both.Open() && !before.Open() {
		r.logger.Warn(openWarning)
	}
	warnExposed(both, before.Exposures(), r.logger)
	r.seen, r.taken = content, content
	r.tell(why, changes, files)
	return nil
}

// changedFiles is the settings whose files have other content than the node
// knows. A file that a changed setting names is left out: the change is logged.
func (r *reloader) changedFiles(content digests, changes []config.Change) []string {
	var keys []string
	for path, key := range r.files() {
		logged := slices.ContainsFunc(changes, func(c config.Change) bool { return c.Key == key })
		if key != "" && !logged && content[path] != r.taken[path] {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// tokensChanged reports whether other tokens than before are taken.
func tokensChanged(changes []config.Change, files []string) bool {
	const group = "auth.jwt."
	return slices.ContainsFunc(files, func(key string) bool { return strings.HasPrefix(key, group) }) ||
		slices.ContainsFunc(changes, func(c config.Change) bool { return c.Applied && strings.HasPrefix(c.Key, group) })
}

// tell logs what has changed, a line each.
func (r *reloader) tell(why string, changes []config.Change, files []string) {
	restart := 0
	for _, c := range changes {
		if !c.Applied {
			restart++
			r.logger.Warn("setting changed; restart required", "setting", c.Key)
			continue
		}
		r.logger.Info("setting changed", "setting", c.Key, "from", c.From, "to", c.To)
	}
	for _, key := range files {
		r.logger.Info("setting file changed", "setting", key)
	}
	r.logger.Info("config reload finished", "reason", why, "changed", len(changes)-restart+len(files), "restart", restart)
}
