package redisbroker

// ACLRules returns aclRules.
func ACLRules() []string { return aclRules }

// SlotOf is slotOf.
func SlotOf(channel string) int { return slotOf(channel) }

// DecodeMembers is decodeMembers.
var DecodeMembers = decodeMembers
