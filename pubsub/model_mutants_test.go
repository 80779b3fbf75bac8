package pubsub

// mutants each take one rule out of the code.
var mutants = []struct {
	name, file, old, new string
}{
	{
		"no gap in front of a new generation", "follower.go",
		"if f.failedOver(m.ID.Gen, m.ID, p) {\n\t\t\t\titems", "if false {\n\t\t\t\titems",
	},
	{
		"no gap behind the last message of an old generation", "follower.go",
		"case f.failedOver(p.Gen, ID{}, p):", "case false:",
	},
	{
		"the generation is not kept at the end of the log", "follower.go",
		"\tf.at.Gen, f.seen = p.Gen, 0\n\treturn items, true", "\tf.seen = 0\n\treturn items, true",
	},
	{
		"the gap behind is told before the end of the log", "follower.go",
		"case c > 0:\n\t\treturn items, false", "case c > 0 && !f.failedOver(p.Gen, ID{}, p):\n\t\treturn items, false",
	},
	{
		"no gap where the log begins anew", "follower.go",
		"if !unbroken || f.failedOver(m.ID.Gen, m.ID, p) {", "if false {",
	},
	{
		"a log that begins anew always has a gap", "follower.go",
		"if !unbroken || f.failedOver(m.ID.Gen, m.ID, p) {", "if true {",
	},
	{
		"a log that begins anew in a new generation has no gap", "follower.go",
		"if !unbroken || f.failedOver(m.ID.Gen, m.ID, p) {", "if !unbroken {",
	},
	{
		"no gap where the log was trimmed", "follower.go",
		"items = append(items, f.gap(Trimmed, m.Prev, m.ID.Gen))", "",
	},
	{
		"no fork looked for between messages", "follower.go",
		"f.fork = &fork{before: m.ID, to: m.Prev, run: m.ID.Gen, inRun: true, behind: m.ID.Gen}\n\t\t\treturn items, false",
		"items = append(items, f.gap(Rewound, m.Prev, m.ID.Gen))",
	},
	{
		"no fork looked for at the end", "follower.go",
		"f.fork = &fork{to: p.End, run: p.Gen, inRun: true}\n\t\treturn items, false",
		"items = append(items, f.gap(Rewound, p.End, p.Gen))",
	},
	{
		"a log that ends earlier is taken for whole", "follower.go",
		"case c < 0:\n", "case false:\n",
	},
	{
		"an empty log is taken for whole", "follower.go",
		"case c < 0 && p.End.IsZero():\n\t\tif unbroken && !f.failedOver(p.Gen, ID{}, p) {", "case c < 0 && p.End.IsZero():\n\t\tif true {",
	},
	{
		"an empty log always has a gap", "follower.go",
		"case c < 0 && p.End.IsZero():\n\t\tif unbroken && !f.failedOver(p.Gen, ID{}, p) {", "case c < 0 && p.End.IsZero():\n\t\tif false {",
	},
	{
		"an empty log in a new generation has no gap", "follower.go",
		"if unbroken && !f.failedOver(p.Gen, ID{}, p) {", "if unbroken {",
	},
	{
		"a fork's search does not know its own generation", "follower.go",
		"if m.ID.Gen == f.at.ID.Gen {", "if false {",
	},
	{
		"a fork's search takes the cursor's generation for the message's", "follower.go",
		"if m.ID.Gen == f.at.ID.Gen {", "if m.ID.Gen == f.at.Gen {",
	},
	{
		"a fork's search ends at its first page", "follower.go",
		"if len(p.Messages) == limit {\n\t\treturn nil\n\t}\n", "",
	},
	{
		"a fork's search never leaves the run of new messages", "follower.go",
		"if k.inRun = k.inRun && m.ID.Gen == k.run; k.inRun {", "if k.inRun {",
	},
	{
		"what an older primary took is new after a fork", "follower.go",
		"f.fork = &fork{to: p.End, run: p.Gen, inRun: true}", "f.fork = &fork{to: p.End, run: p.End.Gen, inRun: true}",
	},
	{
		"a fork goes on in the primary's generation", "follower.go",
		"return f.forkedAt(m.ID, k.behind, p.Gen)", "return f.forkedAt(m.ID, p.Gen, p.Gen)",
	},
	{
		"a fork forgets what stands behind", "follower.go",
		"k.behind, k.before = m.ID.Gen, m.ID", "k.before = m.ID",
	},
	{
		"a fork without a common message is a rewind", "follower.go",
		"if to.IsZero() {\n\t\treturn []Item{f.gap(Restarted, to, gen)}\n\t}\n", "",
	},
	{
		"a message moves on without its generation", "follower.go",
		"f.at = At(m.ID)", "f.at.ID = m.ID",
	},
	{
		"a live message's generation is not judged", "tail.go",
		"case m.ID.Gen != at.Gen:\n\t\treturn surprising\n", "",
	},
	{
		"stale live messages are not dropped", "tail.go",
		"case m.ID.Compare(at.ID) <= 0:", "case false:",
	},
	{
		"stale live messages are appended", "tail.go",
		"case m.ID.Compare(at.ID) <= 0:\n\t\treturn dropped", "case m.ID.Compare(at.ID) <= 0:\n\t\tt.append(Item{Message: m, After: At(m.ID)})\n\t\treturn appended",
	},
	{
		"a newer live message is appended whatever it follows", "tail.go",
		"case m.Prev == at.ID, m.Prev.IsZero() && t.unbroken:", "default:",
	},
	{
		"a surprising message does not make the tail read", "tail.go",
		"t.state = reading\n\t\tt.hold(m)\n\t\treturn true", "return false",
	},
	{
		"messages are judged while the log is read", "tail.go",
		"case t.state == reading:\n\t\tt.hold(m)\n\t\treturn false\n", "",
	},
	{
		"messages during a read are dropped", "tail.go",
		"case t.state == reading:\n\t\tt.hold(m)\n", "case t.state == reading:\n",
	},
	{
		"a new subscription does not make the tail read", "tail.go",
		"t.link++\n\tt.state = reading", "t.link++\n\tif t.state = reading; t.opened {\n\t\tt.state = live\n\t}",
	},
	{
		"a lost link leaves the tail unbroken", "tail.go",
		"t.state = waiting\n\tt.unbroken = false", "t.state = waiting",
	},
	{
		"a read may have begun before the subscription", "tail.go",
		"case !done || t.readLink != t.link:", "case !done:",
	},
	{
		"one page is the whole log", "tail.go",
		"case !done || t.readLink != t.link:", "case !done && false, t.readLink != t.link:",
	},
	{
		"a tail goes live without a link", "tail.go",
		"case t.state == waiting:\n\tcase !done", "case !done",
	},
	{
		"a tail is unbroken from before its first read", "tail.go",
		"t.unbroken && t.explained(p)", "true",
	},
	{
		"a read explains everything", "tail.go",
		"t.unbroken && t.explained(p)", "t.unbroken",
	},
	{
		"a page explains only what it has", "tail.go",
		"newer && !toCome &&", "newer && (toCome || true) &&",
	},
	{
		"a tail stays broken", "tail.go",
		"func (t *tail) settle() bool {\n\tt.unbroken = !t.overflow", "func (t *tail) settle() bool {",
	},
	{
		"pending messages are dropped", "tail.go",
		"for i, m := range t.pending[t.before:] {", "for i, m := range t.pending[:0] {",
	},
	{
		"messages from before the read are judged after it", "tail.go",
		"for i, m := range t.pending[t.before:] {", "t.before = 0\n\tfor i, m := range t.pending[t.before:] {",
	},
	{
		"what is surprising in pending is dropped", "tail.go",
		"if t.judge(m) == surprising {", "if t.judge(m) == surprising && i < 0 {",
	},
	{
		"an overflow of pending is forgotten", "tail.go",
		"t.overflow = true\n", "",
	},
	{
		"an overflow is no break", "tail.go",
		"t.unbroken = false // the log may", "// the log may",
	},
	{
		"a read mends an overflow", "tail.go",
		"t.unbroken = !t.overflow", "t.unbroken = true",
	},
	{
		"a tail has its origin at its first item for ever", "tail.go",
		"t.origin = t.items[drop].After\n", "",
	},
	{
		"dropped items do not move the first place", "tail.go",
		"t.first += uint64(drop)", "",
	},
	{
		"a place that has left the tail is its first", "tail.go",
		"if place < t.first {\n\t\treturn nil, false\n\t}\n", "place = max(place, t.first)\n",
	},
	{
		"a subscriber is located by ID alone", "tail.go",
		"if t.items[i-1].After == c {", "if t.items[i-1].After.ID == c.ID {",
	},
	{
		"a subscriber is located at an item, not behind it", "tail.go",
		"return t.first + uint64(i), true", "return t.first + uint64(i) - 1, true",
	},
	{
		"every subscriber is located at the oldest item", "tail.go",
		"return t.first, t.origin == c", "return t.first, true",
	},
	{
		"an empty log is the same place everywhere in the tail", "tail.go",
		"if c.ID.IsZero() {", "if false {",
	},
	{
		"a subscriber from now on begins with the oldest item", "tail.go",
		"return t.first + uint64(len(t.items)), t.follow.at }", "return t.first, t.follow.at }",
	},
	{
		"an ephemeral message moves the cursor", "tail.go",
		"t.append(Item{Message: m, After: t.follow.at})", "t.append(t.follow.follow(m))",
	},
	{
		"a sweep does nothing", "tail.go",
		"if t.state != live {\n\t\treturn false\n\t}", "if t.state != 99 {\n\t\treturn false\n\t}",
	},
	{
		"a subscriber is not woken by the relay", "hub.go",
		"t.tellWatchers(end)", "_ = end",
	},
	{
		"a subscription does not queue a read", "hub.go",
		"t.subscribed()\n\tt.mu.Unlock()\n\ts.h.syncer.add(t)", "t.subscribed()\n\tt.mu.Unlock()",
	},
	{
		"a surprise does not queue a read", "hub.go",
		"if read {\n\t\ts.h.syncer.add(t)", "if read {",
	},
	{
		"a lost link is not told to the tails", "hub.go",
		"t.lost(since)", "",
	},
	{
		"a cursor loses its generation", "subscriber.go",
		"p.start, p.replay.at = *from.Cursor, *from.Cursor", "p.start, p.replay.at = *from.Cursor, At(from.Cursor.ID)",
	},
	{
		"earliest begins with an unknown generation", "subscriber.go",
		"p.start = Cursor{ID: oldest.Prev, Gen: oldest.ID.Gen}", "p.start = At(oldest.Prev)",
	},
	{
		"last N comes newest first", "subscriber.go",
		"slices.Reverse(page.Messages)", "slices.Reverse(page.Messages[:0])",
	},
	{
		"a slow subscriber goes on", "subscriber.go",
		"return nil, true, ErrSlow", "return nil, true, nil",
	},
	{
		"a tail read does not move the place", "subscriber.go",
		"p.next += uint64(len(items))", "",
	},
	{
		"a node refreshes without reading", "syncer.go",
		"if stale {\n\t\ts.add(t)", "if stale {",
	},
}
