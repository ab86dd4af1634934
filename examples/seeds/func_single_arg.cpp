// map, starmap and imap on four workers: three rounds of four one-second tasks take three seconds, not twelve.
// Better here: imap gives a real input range with a bounded window, and leaving the scope ends the pool.
#include <brood/pool.hpp>

#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "print_list.hpp"

constexpr unsigned kNumProcesses = 4;

int func_single_arg(int a) {
  std::this_thread::sleep_for(std::chrono::seconds(1));
  return a * a;
}

int func_multi_args(int a, int b) {
  std::this_thread::sleep_for(std::chrono::seconds(1));
  return a * b;
}

int main() {
  const std::vector<int> single_arg_list = {1, 2, 3, 4};
  const std::vector<std::pair<int, int>> multi_args_list = {{1, 2}, {3, 4}, {5, 6}, {7, 8}};

  brood::Pool pool(kNumProcesses);
  print_list("", pool.map(func_single_arg, single_arg_list));
  print_list("", pool.starmap(func_multi_args, multi_args_list));
  print_list("", pool.imap(func_single_arg, single_arg_list));
}
