// Results in the order of completion, with the pool closed and joined by hand.
// Better here: f may be defined before or after main's pool, and a pool that is not closed ends with its scope.
#include <brood/pool.hpp>

#include <cstdio>
#include <vector>

int f(int a) { return 10 * a; }

int main() {
  const std::vector<int> f_list = {1, 2, 3, 4, 5, 6, 7, 8};
  brood::Pool pool;

  for (int a : pool.imap_unordered(f, f_list)) std::printf("%d\n", a);

  pool.close();
  pool.join();
}
