// A progress bar that tells the truth: it moves when a task completes, in whatever order the results are handed out.
#include <brood/brood.hpp>

#include <chrono>
#include <cstdio>
#include <numeric>
#include <thread>
#include <vector>

int nap(int tenths) {
  std::this_thread::sleep_for(std::chrono::milliseconds(100) * tenths);
  return tenths;
}

int main() {
  std::vector<int> naps(20);
  std::iota(naps.rbegin(), naps.rend(), 1);  // the longest first

  brood::Pool pool(8);
  int sum = 0;
  for (int tenths : brood::progress(pool.imap(nap, naps), {.desc = "nap", .unit = "task"})) sum += tenths;
  std::printf("slept %d.%d seconds\n", sum / 10, sum % 10);
}
