package tenants

import "context"

// Lead leads without the lease, as a replica does that does not know as yet
// that it has lost it.
func (c *Controller) Lead(ctx context.Context) error {
	stop := c.openEvents(ctx)
	defer stop()
	return c.lead(ctx)
}
