// Ends the test program when one test runs for too long, and says which test it was and where it stood.
//
// A hanging test is the usual sign of a bug here, and tests never assert a maximum runtime of their own: the machine
// may be busy. The limit is 120 s per test, or BROOD_TEST_LIMIT_S.
#pragma once

namespace brood::testing {

// Registers the watchdog with GoogleTest. Call once, after InitGoogleTest and before RUN_ALL_TESTS.
//
// It is a timer with a signal of its own (SIGRTMAX), neither a thread nor a process: a test program that forks has to
// stay single-threaded, and one that counts its children must not find a stranger among them.
// Across fork: children inherit no timer; they are not watched, the test that waits for them is.
void install_watchdog();

}  // namespace brood::testing
