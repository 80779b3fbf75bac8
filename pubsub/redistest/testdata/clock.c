// Shifts the wall clock of the process that preloads it, as Redis reads it, by
// the microseconds in the file that COMET_TEST_CLOCK names: one int64_t in the
// machine's byte order. The file stays mapped, so a change of it shows at once.
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static const volatile int64_t *offset;

__attribute__((constructor)) static void map_offset(void) {
	int fd = open(getenv("COMET_TEST_CLOCK"), O_RDONLY);
	offset = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, fd, 0);
	if (offset == MAP_FAILED)
		abort();
}

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000 + *offset;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
	(void)zone;
	int64_t us = now();
	tv->tv_sec = us / 1000000;
	tv->tv_usec = us % 1000000;
	return 0;
}

time_t time(time_t *t) {
	time_t s = now() / 1000000;
	if (t)
		*t = s;
	return s;
}
