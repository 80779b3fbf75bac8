package redisbroker

import "strings"

// slots is the number of slots of a Redis Cluster.
const slots = 16384

// keySlot returns the Redis Cluster slot of a key, that of its hash tag if it has one.
func keySlot(key string) int {
	if _, rest, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(rest, "}"); ok && tag != "" {
			return slotOf(tag)
		}
	}
	return slotOf(key)
}

// slotOf returns the Redis Cluster slot of a hash tag. The hash is CRC-16/XMODEM
// (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model).
func slotOf(tag string) int {
	const polynomial = 0x1021
	var crc uint16
	for i := range len(tag) {
		crc ^= uint16(tag[i]) << 8
		for range 8 {
			high := crc&0x8000 != 0
			crc <<= 1
			if high {
				crc ^= polynomial
			}
		}
	}
	return int(crc % slots)
}
