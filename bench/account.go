package bench

// handleOrders handles the coordinator's pending orders.
func (s *eventLoop) handleOrders() {
	for {
		select {
		case o := <-s.orders:
			s.lag = max(s.lag, s.clock.now().since(o.at))
			s.handleOrder(&o.order)
		default:
			return
		}
	}
}

func (s *eventLoop) handleOrder(o *order) {
	switch {
	case o.Arrive:
		s.gate = s.clock.now()
	case o.Began != 0:
		s.startPublishing(o.Began)
	case o.Tick != nil:
		r := s.report()
		r.Tick = o.Tick.Number
		if o.Tick.Memory {
			r.Memory = ownMemory()
		}
		s.reply(reply{Report: r})
	case o.Finish != nil:
		s.finish(o.Finish)
	case o.Stop:
		s.stopped = true
		s.reply(reply{Final: s.final()})
	}
}

func (s *eventLoop) reply(r reply) {
	select {
	case s.replies <- r:
	case <-s.ended:
	}
}

// startPublishing handles subscribers that are not connected when publishing
// begins. They ask again, starting with the oldest message, or are excluded from
// the accounting.
func (s *eventLoop) startPublishing(at instant) {
	s.began = at
	now := s.clock.now()
	for i := range s.subscribers {
		sub := &s.subscribers[i]
		switch {
		case sub.was:
		case !s.traits.earliest:
			sub.late = true
		case sub.pending && len(sub.cursor) == 0:
			s.reconnect(int32(i), 0, now)
		}
	}
}

// countError counts an error of that kind.
func (s *eventLoop) countError(kind string) {
	if s.counts.Errors == nil {
		s.counts.Errors = make(map[string]int64)
	}
	s.counts.Errors[kind]++
}

// reportProgress sends a report at once when all subscribers have arrived or nothing is missing.
func (s *eventLoop) reportProgress() {
	arrived := s.arrived == len(s.subscribers)
	complete := s.finished && s.outstanding == 0
	if arrived == s.reported.arrived && complete == s.reported.complete {
		return
	}
	s.reported.arrived, s.reported.complete = arrived, complete
	s.reply(reply{Report: s.report()})
}

// report returns the counts since the last report.
func (s *eventLoop) report() *report {
	r := s.counts
	s.counts = report{}
	r.latency, r.resume = s.latency.flush(), s.resume.flush()
	r.Lag, s.lag = s.lag, 0
	r.Connected, r.Arrived = s.connected, s.arrived
	r.LastArrival, r.LastDelivery = s.lastArrival, s.lastDelivery
	r.Missing, r.Finished = s.holes, s.finished
	if s.finished {
		r.Missing = s.outstanding
	}
	r.CPU, r.LoopCPU = processCPU(), threadCPU()
	return &r
}

// accounted reports whether messages that the subscriber lacks count as lost: it
// was connected when publishing began, or could begin with the oldest message.
func (sub *subscriber) accounted() bool { return sub.was && !sub.late }

// finish counts the missing messages.
func (s *eventLoop) finish(t *totals) {
	s.totals, s.finished = t, true
	s.exempt = make(map[exempt]bool, len(t.Exempt))
	for _, e := range t.Exempt {
		s.exempt[e] = true
	}
	s.outstanding = 0
	s.eachAccounted(func(_ *subscriber, missing int64) { s.outstanding += missing })
}

// eachAccounted calls f with every accounted subscriber and the number of
// messages that it lacks.
func (s *eventLoop) eachAccounted(f func(sub *subscriber, missing int64)) {
	issued := s.issuedTo()
	exempt := make(map[uint32][]exempt)
	for _, e := range s.totals.Exempt {
		exempt[e.Channel] = append(exempt[e.Channel], e)
	}
	for i := range s.subscribers {
		sub := &s.subscribers[i]
		if !sub.accounted() {
			continue
		}
		missing := sub.messages.missing(issued[sub.channel])
		for _, e := range exempt[uint32(sub.channel)] {
			if !sub.messages.has(e.Publisher, e.Sequence) {
				missing--
			}
		}
		f(sub, missing)
	}
}

// issuedTo returns the number of messages of each channel by publisher.
func (s *eventLoop) issuedTo() [][]uint32 {
	all := make([]uint32, s.turns.channels*s.turns.publishers)
	issued := make([][]uint32, s.turns.channels)
	for c := range issued {
		issued[c], all = all[:s.turns.publishers], all[s.turns.publishers:]
	}
	for publisher, n := range s.totals.Issued {
		for turn := range n {
			i := turn*s.turns.publishers + publisher
			issued[s.turns.channel(i)][publisher]++
		}
	}
	return issued
}

// final adds up the trackers at the end of the run.
func (s *eventLoop) final() *final {
	f := &final{Gaps: s.gaps}
	for i := range s.subscribers {
		l := &s.subscribers[i].messages
		f.Received += l.got
		f.Repeated += int64(l.repeated)
		f.OutOfOrder += int64(l.outOfOrder)
		f.Unknown += int64(l.unknown)
	}
	if s.totals == nil {
		return f
	}
	seen := make(map[channelOrder]bool)
	s.eachAccounted(func(sub *subscriber, missing int64) {
		f.Lost += missing
		o := channelOrder{int(sub.channel), sub.messages.got, sub.messages.order}
		if missing == 0 && o.Messages > 0 && !seen[o] {
			seen[o] = true
			f.Orders = append(f.Orders, o)
		}
	})
	return f
}
