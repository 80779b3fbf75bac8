package pubsub

// mutants each take one rule out of the code.
var mutants = []struct {
	name, file, old, new string
}{
	{
		"no gap in front of a new epoch", "logreader.go",
		"if f.failedOver(m.ID.Epoch, m.ID, p) {\n\t\t\t\titems", "if false {\n\t\t\t\titems",
	},
	{
		"no gap after the last message of an old epoch", "logreader.go",
		"case f.failedOver(p.Epoch, ID{}, p):", "case false:",
	},
	{
		"the epoch is not kept at the end of the log", "logreader.go",
		"\tf.at.Epoch, f.seen = p.Epoch, 0\n\treturn items, true", "\tf.seen = 0\n\treturn items, true",
	},
	{
		"the gap at the end comes before the end of the log", "logreader.go",
		"case c > 0:\n\t\treturn items, false", "case c > 0 && !f.failedOver(p.Epoch, ID{}, p):\n\t\treturn items, false",
	},
	{
		"no gap where the log begins again", "logreader.go",
		"if !unbroken || failedOver || f.wiped(m.ID.MS, p) {\n\t\t\treturn Restarted", "if false {\n\t\t\treturn Restarted",
	},
	{
		"a log that begins again always has a gap", "logreader.go",
		"if !unbroken || failedOver || f.wiped(m.ID.MS, p) {\n\t\t\treturn Restarted", "if true {\n\t\t\treturn Restarted",
	},
	{
		"a log that begins again in a new epoch has no gap", "logreader.go",
		"if !unbroken || failedOver || f.wiped(m.ID.MS, p) {\n\t\t\treturn Restarted", "if !unbroken || f.wiped(m.ID.MS, p) {\n\t\t\treturn Restarted",
	},
	{
		"a log that was removed is taken for one that expired", "logreader.go",
		"return p.PreviousEnd.IsZero() && -time.Second < elapsed && elapsed < p.TTL-p.TTL/8", "_ = elapsed\n\treturn false",
	},
	{
		"no gap where the log was trimmed", "logreader.go",
		"items = append(items, f.skipTo(why, before(m)))\n\t\tdefault:", "_ = why\n\t\tdefault:",
	},
	{
		"no divergence looked for between messages", "logreader.go",
		"f.divergence = &divergence{primary: p.Epoch, before: m.ID, to: before(m), run: m.ID.Epoch, inRun: true, nextEpoch: m.ID.Epoch}\n\t\t\treturn items, false",
		"items = append(items, f.skipTo(Rewound, before(m)))",
	},
	{
		"no divergence looked for at the end", "logreader.go",
		"f.divergence = &divergence{primary: p.Epoch, to: p.EndCursor(), run: p.Epoch, inRun: true}\n\t\treturn items, false",
		"items = append(items, f.skipTo(Rewound, p.EndCursor()))",
	},
	{
		"a log that ends earlier is taken for whole", "logreader.go",
		"case c < 0:\n", "case false:\n",
	},
	{
		"an empty log is taken for whole", "logreader.go",
		"case expired && (failedOver || f.wiped(p.Now, p)), !unbroken", "case !expired && !unbroken",
	},
	{
		"an empty log always has a gap", "logreader.go",
		"case expired && (failedOver || f.wiped(p.Now, p)), !unbroken", "case expired, !unbroken",
	},
	{
		"an empty log in a new epoch has no gap", "logreader.go",
		"case expired && (failedOver || f.wiped(p.Now, p)), !unbroken", "case !unbroken",
	},
	{
		"a search for a divergence does not know its own epoch", "logreader.go",
		"case f.took(m.ID), passed && k.back:", "case passed && k.back:",
	},
	{
		"a search for a divergence takes the cursor's epoch for the message's", "logreader.go",
		"return id.Epoch == f.at.ID.Epoch &&", "return id.Epoch == f.at.Epoch &&",
	},
	{
		"a search for a divergence ends at its first page", "logreader.go",
		"case p.More:\n\t\treturn nil\n", "",
	},
	{
		"a search for a divergence never leaves the run of new messages", "logreader.go",
		"if k.inRun = k.inRun && (m.ID.Epoch == k.run || f.memory.knows(m.ID.Epoch)); k.inRun {", "if k.inRun {",
	},
	{
		"what an older primary took is new after a divergence", "logreader.go",
		"to: p.EndCursor(), run: p.Epoch, inRun: true}", "to: p.EndCursor(), run: p.End.Epoch, inRun: true}",
	},
	{
		"a divergence goes on in the primary's epoch", "logreader.go",
		"return f.divergedAt(Cursor{ID: m.ID, Epoch: k.nextEpoch}, p.Epoch)", "return f.divergedAt(Cursor{ID: m.ID, Epoch: p.Epoch}, p.Epoch)",
	},
	{
		"a divergence forgets the epoch of the next message", "logreader.go",
		"k.nextEpoch, k.before = m.ID.Epoch, m.ID", "k.before = m.ID",
	},
	{
		"a divergence without a common message is a rewind", "logreader.go",
		"case to.Last().IsZero():\n\t\treturn []Item{f.skipTo(Restarted, to)}\n", "",
	},
	{
		"a message moves on without its epoch", "logreader.go",
		"f.at = CursorAfter(m.ID)", "f.at.ID = m.ID",
	},
	{
		"a live message's epoch is not judged", "tail.go",
		"case m.ID.Epoch != at.Epoch:\n\t\treturn surprising\n", "",
	},
	{
		"stale live messages are not dropped", "tail.go",
		"case m.ID.Compare(at.Last()) <= 0:", "case false:",
	},
	{
		"stale live messages are appended", "tail.go",
		"case m.ID.Compare(at.Last()) <= 0:\n\t\tif t.passed(m.ID) {\n\t\t\treturn dropped\n\t\t}\n\t\treturn surprising", "case m.ID.Compare(at.Last()) <= 0:\n\t\tt.append(Item{Message: m, After: CursorAfter(m.ID)})\n\t\treturn appended",
	},
	{
		"a newer live message is appended whatever it follows", "tail.go",
		"case m.Prev == at.ID, (m.Prev.IsZero() && at.ID.isStart() || t.follow.startsAfter(m.Prev)) && t.unbroken:", "default:",
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
		"t.unbroken && len(gone) == 0", "true",
	},
	{
		"a read explains everything", "tail.go",
		"t.unbroken && len(gone) == 0", "t.unbroken",
	},
	{
		"a page explains only what it has", "tail.go",
		"newer && !toCome &&", "newer && (toCome || true) &&",
	},
	{
		"a tail stays broken", "tail.go",
		"func (t *tail) goLive() bool {\n\tt.unbroken = !t.overflow", "func (t *tail) goLive() bool {",
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
		"a read repairs an overflow", "tail.go",
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
		"a subscriber is located at an item, not after it", "tail.go",
		"return t.first + uint64(i), c, true", "return t.first + uint64(i) - 1, c, true",
	},
	{
		"every subscriber is located at the oldest item", "tail.go",
		"return t.first, c, t.origin == c && t.first >= t.back", "return t.first, c, true",
	},
	{
		"an empty log is the same place everywhere in the tail", "tail.go",
		"if c.ID.isStart() {\n\t\treturn t.locateStart(c)", "if false {\n\t\treturn t.locateStart(c)",
	},
	{
		"a subscriber from now on begins with the oldest item", "tail.go",
		"return t.first + uint64(len(t.items)), t.follow.at }", "return t.first, t.follow.at }",
	},
	{
		"an ephemeral message moves the cursor", "tail.go",
		"t.append(Item{Message: m, After: t.follow.at})", "t.append(t.follow.advance(m))",
	},
	{
		"a sweep does nothing", "tail.go",
		"if t.state != live {\n\t\treturn false\n\t}", "if t.state != 99 {\n\t\treturn false\n\t}",
	},
	{
		"a subscriber is not woken by the relay", "hub.go",
		"t.notifyWatchers(end)", "_ = end",
	},
	{
		"a subscription does not queue a read", "hub.go",
		"s.h.counts.resyncs.Add(ByRelay, 1)\n\t}\n\ts.h.syncer.add(t)", "s.h.counts.resyncs.Add(ByRelay, 1)\n\t}",
	},
	{
		"a surprise does not queue a read", "hub.go",
		"s.h.counts.resyncs.Add(ByMessage, 1)\n\t\ts.h.syncer.add(t)", "s.h.counts.resyncs.Add(ByMessage, 1)",
	},
	{
		"a lost link is not reported to the tails", "hub.go",
		"t.disconnected(since)", "",
	},
	{
		"a cursor loses its epoch", "subscriber.go",
		"p.replay.at = p.start\n\t\tp.unread", "p.replay.at = CursorAfter(p.start.ID)\n\t\tp.unread",
	},
	{
		"earliest begins with an unknown epoch", "subscription.go",
		"p.start = before(page.Messages[0])", "p.start = CursorAfter(page.Messages[0].Prev)",
	},
	{
		"last N comes newest first", "search.go",
		"slices.Reverse(s.page.Messages)", "slices.Reverse(s.page.Messages[:0])",
	},
	{
		"a slow subscriber goes on", "subscription.go",
		"return nil, true, ErrSlow", "return nil, true, nil",
	},
	{
		"a tail read does not move the place", "subscription.go",
		"p.next += uint64(len(items))", "",
	},
	{
		"a node refreshes without reading", "syncer.go",
		"s.counts.resyncs.Add(why, 1)\n\t\ts.add(t)", "s.counts.resyncs.Add(why, 1)",
	},
	{
		"an empty log has always been empty", "logreader.go",
		"return since != 0 && since >= min(nowMS, p.sinceMS(f.at.Epoch)) && int64(nowMS)-int64(since) < kept", "_ = kept\n\treturn since != 1<<63",
	},
	{
		"an empty log may always have been another one", "logreader.go",
		"return since != 0 && since >= min(nowMS, p.sinceMS(f.at.Epoch)) && int64(nowMS)-int64(since) < kept", "_ = kept\n\treturn since == 1<<63",
	},
	{
		"the clocks of two primaries are the same", "logreader.go",
		"(EndTTL(p.TTL) - skew(epoch, f.at.Epoch)).Milliseconds()", "EndTTL(p.TTL).Milliseconds()",
	},
	{
		"nothing expires before the first message", "logreader.go",
		"case !unbroken && !f.stayedEmpty(m.ID.MS, m.ID.Epoch, p):\n\t\treturn Restarted\n", "",
	},
	{
		"nothing expires from an empty log", "logreader.go",
		", !unbroken && !f.missedNothing(p):", ":",
	},
	{
		"an empty log that was followed may have been another one", "logreader.go",
		", !unbroken && !f.missedNothing(p):", ", !f.missedNothing(p):",
	},
	{
		"what was in a log that expired was taken", "logreader.go",
		"return f.startsAfter(p.PreviousEnd)", "return true",
	},
	{
		"a log that expired had nothing newer", "logreader.go",
		"return p.PreviousEnd == f.at.ID", "return true",
	},
	{
		"the message after a log that expired always follows", "logreader.go",
		"case f.startsAfter(m.Prev), ", "case f.at.ID.isStart() && !m.Prev.IsZero(), ",
	},
	{
		"the start of an empty log is read from its time", "logreader.go",
		"Cursor: f.at.Last(), Epoch: f.at.Epoch, Limit: limit", "Cursor: f.at.ID, Epoch: f.at.Epoch, Limit: limit",
	},
	{
		"the start of an empty log does not move on", "logreader.go",
		"f.begin(p)\n\t\tf.emptyAfter = min(f.emptyAfter, emptyAfter)", "f.at.Epoch, f.emptyAfter = p.Epoch, emptyAfter",
	},
	{
		"a tail that came to an empty log by a gap never locates its starts", "logreader.go",
		"f.emptyAfter = min(f.emptyAfter, emptyAfter)", "f.emptyAfter = emptyAfter",
	},
	{
		"a tail locates every start", "logreader.go",
		"&& c.ID.emptyAt() > f.emptyAfter", "",
	},
	{
		"a tail locates starts of other epochs", "logreader.go",
		"f.at.ID.isStart() && c.Epoch == f.at.Epoch &&", "f.at.ID.isStart() &&",
	},
	{
		"a broken tail is at every later start", "tail.go",
		"|| later && !t.unbroken", "",
	},
	{
		"a tail stays at an earlier start", "tail.go",
		"if later {\n\t\tt.follow.at = c\n\t}\n", "",
	},
	{
		"nothing is remembered when the log goes back", "logreader.go",
		"f.memory.add(left)", "_ = left",
	},
	{
		"nothing is remembered of an epoch that is left", "logreader.go",
		"if m.ID.Epoch != f.at.ID.Epoch {\n\t\tf.memory.add(f.at.ID)\n\t}\n", "",
	},
	{
		"what comes back is delivered again", "logreader.go",
		"if f.memory.has(m.ID) { // a primary", "if false { // a primary",
	},
	{
		"what was trimmed comes after all", "logreader.go",
		"if why == Trimmed {", "if false {",
	},
	{
		"a search goes on in another primary's log", "logreader.go",
		"if p.Epoch != k.primary {", "if false {",
	},
	{
		"a subscriber forgets what it had when it joins the tail", "subscription.go",
		"return p.replay.memory.without(items), true, nil", "return items, true, nil",
	},
	{
		"a cursor is found in front of where the log went back", "tail.go",
		"i > 0 && t.first+uint64(i) >= t.back; i--", "i > 0; i--",
	},
	{
		"a wipe leaves no trace", "logreader.go",
		"since >= min(nowMS, p.sinceMS(f.at.Epoch)) &&", "",
	},
	{
		"the newest messages are put together from two primaries' logs", "search.go",
		"case p.Epoch != s.page.Epoch:", "case false:",
	},
	{
		"a subscriber joins its tail while it holds messages", "subscription.go",
		"case p.joined || len(p.held) > 0:", "case p.joined:",
	},
}
