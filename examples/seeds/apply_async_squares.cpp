// Ten squares through apply_async; the results are fetched after the pool has ended.
// Better here: AsyncResult<int> is typed, its get() needs no cast, and get() before close() and join() works too.
#include <brood/pool.hpp>

#include <cstdio>
#include <vector>

int func(int num) { return num * num; }

int main() {
  const std::vector<int> lst = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  brood::Pool pool(4);
  std::vector<brood::AsyncResult<int>> results;

  for (int item : lst) results.push_back(pool.apply_async(func, item));

  pool.close();
  pool.join();

  std::puts("<class 'brood::AsyncResult<int>'>");
  for (auto& res : results) std::printf("%d\n", res.get());
}
