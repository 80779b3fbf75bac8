package bench

import (
	"fmt"
	"runtime"
	"time"
)

// used is the resources that server, store and generator have used up to a time.
type used struct {
	reading
	generator time.Duration
	loops     []time.Duration // by worker
	idle      time.Duration   // of this machine
	at        instant
}

// readUsed reads the resources used so far. The workers' part is from their last report.
func (c *coordinator) readUsed() used {
	u := used{reading: c.meter.read(c.ctx), at: c.clock.now()}
	own := true // this process has no worker, which would count it already
	c.workers.processes(func(m *remoteWorker) {
		u.generator += m.latest.CPU
		own = own && m.hello.Process != processID
	})
	if own {
		u.generator += processCPU()
	}
	for _, m := range c.workers.members {
		u.loops = append(u.loops, m.latest.LoopCPU)
	}
	u.idle, _ = machineIdle()
	return u
}

// measureCost sets the cost and duration of the delivery since before.
func (c *coordinator) measureCost(before used, began instant) error {
	if err := c.sync(false); err != nil {
		return err
	}
	after := c.readUsed()
	d := &c.result.Delivery
	if last := c.lastDelivery(); last > began {
		d.Seconds = last.since(began).Seconds()
	}
	cost := &c.result.Cost
	server := after.server.cpu - before.server.cpu
	cost.ServerCPUSeconds = server.Seconds()
	if deliveries := float64(c.tally.deliveries); deliveries > 0 {
		cost.DeliveryMicros = micros(server) / deliveries
		cost.StoreMicros = micros(after.store.cpu-before.store.cpu) / deliveries
		cost.GeneratorMicros = micros(after.generator-before.generator) / deliveries
	}
	if d.Seconds > 0 {
		c.checkGenerator(before, after, d.Seconds)
	}
	return nil
}

const (
	saturated   = 0.85                   // of a core, for a loop
	lagging     = 250 * time.Millisecond // between two reads of the connections
	machineFull = 0.95                   // of this machine's CPUs
	judged      = 0.5                    // seconds of delivery; CPU shares of less are noise
)

// checkGenerator warns if the generator was the bottleneck.
func (c *coordinator) checkGenerator(before, after used, seconds float64) {
	var all, most float64
	for i := range after.loops {
		load := (after.loops[i] - before.loops[i]).Seconds() / seconds
		all += load
		most = max(most, load)
	}
	c.result.Cost.GeneratorLoad = all / float64(len(after.loops))
	if seconds < judged {
		return
	}
	if most > saturated {
		c.warn("The generator was saturated: a worker used %.0f %% of a core, so latencies may be its own. "+
			"Use more workers (agents on other machines), fewer subscribers, or a lower rate.", 100*most)
	}
	if c.tally.lag > lagging {
		c.warn("A worker did not read its connections for %d ms: measured latencies may be too long by that. "+
			"Stop other programs on this machine, or put agents on other machines.", c.tally.lag.Milliseconds())
	}
	cores := float64(runtime.NumCPU())
	took := after.at.since(before.at).Seconds()
	if busy := 1 - (after.idle-before.idle).Seconds()/took/cores; after.idle > 0 && busy > machineFull {
		c.warn("The CPUs of this machine were %.0f %% busy: the programs on it, maybe generator and server, competed for them. "+
			"The latencies are those of a saturated machine.", 100*busy)
	}
}

// conclude fills in the result.
func (c *coordinator) conclude() {
	r := &c.result
	r.Publish = c.publishing.result()
	r.Trouble = c.trouble()
	d := &r.Delivery
	for _, m := range c.workers.members {
		d.Received += m.final.Received
	}
	d.Expected = d.Received + r.Trouble.Lost
	d.Bytes, d.Requests = c.tally.bytes, c.tally.requests
	if received := float64(d.Received); received > 0 {
		d.BytesEach, d.RequestsEach = float64(d.Bytes)/received, float64(d.Requests)/received
		if d.Seconds > 0 {
			d.PerSecond = received / d.Seconds
		}
	}
	d.Latency, r.Resume = c.tally.latency.latency(), c.tally.resume.latency()
	if n := c.publishing.unsent(); n > 0 && c.plan.publishes() && !r.Interrupted {
		c.warn("%d of the plan's messages were not sent, because the server no longer accepted any.", n)
	}
	if traits := c.client.dialect.traits(); !traits.resumes && c.plan.Churn > 0 {
		c.warn("Subscribers of the preset %s cannot resume: messages published while they reconnect are lost.", c.plan.Target.Preset)
	}
	r.Seconds = c.clock.now().since(c.timeline.began).Seconds()
}

func (c *coordinator) trouble() (t Trouble) {
	type group struct {
		channel  int
		messages int64
	}
	orders := make(map[group]uint64)
	differing := make(map[int]bool) // channels
	for _, m := range c.workers.members {
		f := m.final
		t.Lost += f.Lost
		t.Repeated += f.Repeated
		t.OutOfOrder += f.OutOfOrder
		t.Unknown += f.Unknown
		t.Gaps += f.Gaps
		for _, o := range f.Orders {
			g := group{o.Channel, o.Messages}
			if first, ok := orders[g]; !ok {
				orders[g] = o.Order
			} else if first != o.Order {
				differing[o.Channel] = true
			}
		}
	}
	t.Orders = len(differing)
	for _, errors := range []map[string]int64{c.tally.errors, c.publishing.errors} {
		for kind, n := range errors {
			if t.Errors == nil {
				t.Errors = make(map[string]int64)
			}
			t.Errors[kind] += n
		}
	}
	return t
}

// warn adds a sentence to the result.
func (c *coordinator) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.result.Warnings = append(c.result.Warnings, text)
	c.options.Logger.WarnContext(c.ctx, "results are less reliable than they seem", "why", text)
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
