package bench

// deliver publishes and waits for the deliveries.
func (c *coordinator) deliver() error {
	if !c.plan.publishes() {
		return nil
	}
	if err := c.sync(false); err != nil {
		return err
	}
	before := c.readUsed()
	c.tally.lag = 0
	began := c.clock.now()
	c.workers.send(order{Began: began})
	published := make(chan struct{})
	go func() {
		defer close(published)
		c.publishing.work(c.ctx, began)
	}()
	// Wait for the publishers in any case.
	defer func() {
		c.publishing.halt()
		c.cancelUnless(published)
	}()
	err := c.await(func() bool {
		if c.result.Interrupted {
			c.publishing.halt()
		}
		return closed(published)
	})
	if err != nil {
		return err
	}
	if err := c.awaitDeliveries(); err != nil {
		return err
	}
	return c.measureCost(before, began)
}

// cancelUnless cancels the run and waits for the publishers, if they still work.
func (c *coordinator) cancelUnless(published <-chan struct{}) {
	if !closed(published) {
		c.cancel()
		<-published
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// awaitDeliveries returns when everything was delivered, or nothing for Plan.Patience.
func (c *coordinator) awaitDeliveries() error {
	c.workers.send(order{Finish: &totals{Issued: c.publishing.issued, Exempt: c.publishing.exempt}})
	quietSince := c.clock.now()
	complete := func() bool {
		return c.workers.all(func(m *remoteWorker) bool { return m.latest.Finished && m.latest.Missing == 0 })
	}
	for {
		err := c.await(func() bool { return complete() || c.clock.now().since(quietSince) > c.plan.Patience })
		if err != nil || complete() {
			return err
		}
		if err := c.sync(false); err != nil { // the last reports may be a second old
			return err
		}
		if last := c.lastDelivery(); last > quietSince {
			quietSince = last
		} else {
			return nil
		}
	}
}

func (c *coordinator) lastDelivery() (last instant) {
	for _, m := range c.workers.members {
		last = max(last, m.latest.LastDelivery)
	}
	return last
}
