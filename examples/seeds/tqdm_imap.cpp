// A progress bar over imap where the first tasks take longest, so the first result comes last.
// Better here: the bar moves whenever a task completes; the peer's stands at 0 % until the slow first one is done.
#include <brood/pool.hpp>
#include <brood/progress.hpp>

#include <chrono>
#include <cstdio>
#include <numeric>
#include <thread>
#include <vector>

#include "print_list.hpp"

constexpr unsigned kNumProcesses = 5;
constexpr int kNumArgs = 10;

int func(int a) {
  std::this_thread::sleep_for(std::chrono::milliseconds(200) * (kNumArgs - a));
  const int result = a * a;
  std::printf("a=%d squared is %d\n", a, result);
  return result;
}

int main() {
  std::vector<int> arg_list(kNumArgs);
  std::iota(arg_list.begin(), arg_list.end(), 0);
  std::printf("arg_list=range(0, %d)\n", kNumArgs);

  std::vector<int> results;
  {
    brood::Pool pool(kNumProcesses);
    auto stream = brood::progress(pool.imap(func, arg_list), {.bar_format = "{l_bar}{bar:30}{r_bar}{bar:-30b}"});
    for (int result : stream) results.push_back(result);
  }
  print_list("results=", results);
}
