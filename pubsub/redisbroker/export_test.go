package redisbroker

// ACLRules are aclRules for tests from outside.
func ACLRules() []string { return aclRules }

// SlotOf is slotOf.
func SlotOf(channel string) int { return slotOf(channel) }

// DecodeMembers is decodeMembers.
var DecodeMembers = decodeMembers
