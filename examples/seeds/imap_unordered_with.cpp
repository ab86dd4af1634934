// The same in the form the seed recommends: the pool lives in a block.
// Better here: leaving the block waits for the tasks; the peer's `with` kills what still runs.
#include <brood/pool.hpp>

#include <cstdio>
#include <vector>

int f(int a) { return 10 * a; }

int main() {
  const std::vector<int> f_list = {1, 2, 3, 4, 5, 6, 7, 8};
  {
    brood::Pool pool;
    for (int a : pool.imap_unordered(f, f_list)) std::printf("%d\n", a);
  }
}
