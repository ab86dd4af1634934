// Ten squares through map: all at once, in the order of the input.
// Better here: the result is a std::vector<int>, and the size of the chunks follows the measured time of a task.
#include <brood/pool.hpp>

#include <vector>

#include "print_list.hpp"

int func(int num) { return num * num; }

int main() {
  const std::vector<int> lst = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  brood::Pool pool(4);

  const std::vector<int> results = pool.map(func, lst);

  pool.close();
  pool.join();

  print_list("", results);
}
