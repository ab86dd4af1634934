// A global pool in a program that does not include <iostream>: the standard streams need not be there when its
// constructor runs. Used from main() it works; used in a worker, where it does not exist, it says so.
#include <brood/pool.hpp>

#include <cstdio>
#include <string>
#include <vector>

namespace {

brood::Pool pool(1);

int twice(int x) { return 2 * x; }

int uses_the_pool(int x) { return pool.apply(twice, x); }

}  // namespace

int main() {
  if (pool.map(twice, std::vector<int>{1, 2, 3}) != std::vector<int>{2, 4, 6}) return 1;
  try {
    pool.apply(uses_the_pool, 1);
    return 2;
  } catch (const brood::RemoteError& error) {
    if (std::string(error.message()).find("used in one of its own workers") == std::string::npos) {
      std::fprintf(stderr, "%s\n", error.what());
      return 3;
    }
  }
  return pool.apply(twice, 4) == 8 ? 0 : 4;
}
