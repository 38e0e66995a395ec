/* `millstream._columns`: columns of text and of numbers to lists and back, for CPython inside of a component. What it does,
 * builders.py and columns.py do as well, in several passes over objects; there an error gets its words, too.
 *
 * All of it is CPython's stable ABI, declared here as far as it is used: so clang alone compiles it, and it goes with any
 * CPython from 3.11 on that is built for 32-bit WebAssembly. */

typedef struct PyObject PyObject;
typedef int Py_ssize_t;

typedef struct {
  const char *name;
  PyObject *(*call)(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
  int flags;
  const char *doc;
} PyMethodDef;

typedef struct {
  struct {
    Py_ssize_t references;
    void *type;
    void *init;
    Py_ssize_t index;
    PyObject *copy;
  } base;
  const char *name;
  const char *doc;
  Py_ssize_t size;
  const PyMethodDef *methods;
  void *slots, *traverse, *clear, *free;
} PyModuleDef;

extern PyObject *PyModule_Create2(PyModuleDef *, int api);
extern int PyModule_AddStringConstant(PyObject *, const char *name, const char *value);
extern PyObject *PyList_New(Py_ssize_t);
extern Py_ssize_t PyList_Size(PyObject *);
extern PyObject *PyList_GetItem(PyObject *, Py_ssize_t);
extern int PyList_SetItem(PyObject *, Py_ssize_t, PyObject *);
extern const char *PyUnicode_AsUTF8AndSize(PyObject *, Py_ssize_t *);
extern PyObject *PyUnicode_DecodeUTF8(const char *, Py_ssize_t, const char *errors);
extern PyObject *PyBytes_FromStringAndSize(const char *, Py_ssize_t);
extern int PyBytes_AsStringAndSize(PyObject *, char **, Py_ssize_t *);
extern double PyFloat_AsDouble(PyObject *);
extern PyObject *PyFloat_FromDouble(double);
extern long PyLong_AsLong(PyObject *);
extern PyObject *PyLong_FromLong(long);
extern long long PyLong_AsLongLong(PyObject *);
extern PyObject *PyLong_FromLongLong(long long);
extern PyObject *PyBool_FromLong(long);
extern PyObject *PyTuple_Pack(Py_ssize_t, ...);
extern PyObject *PyErr_Occurred(void);
extern void PyErr_Clear(void);
extern void Py_IncRef(PyObject *);
extern void Py_DecRef(PyObject *);
extern PyObject _Py_NoneStruct;
extern PyObject *PyExc_ValueError;
extern void PyErr_SetString(PyObject *, const char *);

enum { METH_FASTCALL = 0x80, STABLE_ABI = 3 };

static PyObject *none(void) {
  PyErr_Clear();
  Py_IncRef(&_Py_NoneStruct);
  return &_Py_NoneStruct;
}

static PyObject *wrong(const char *words) {
  if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, words);
  return 0;
}

/* build(values: list) -> (offsets, data, whether there are nulls), or None where a value is neither a str nor None, or has
 * half a character. */
static PyObject *build(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
  Py_ssize_t rows = count == 1 ? PyList_Size(arguments[0]) : -1, size;
  if (rows < 0) return wrong("build takes a list");
  char *start;
  PyObject *offsets = PyBytes_FromStringAndSize(0, (rows + 1) * 4);
  if (!offsets || PyBytes_AsStringAndSize(offsets, &start, &size)) return 0;
  Py_ssize_t *ends = (Py_ssize_t *)start, end = 0;
  *ends++ = 0;
  long nulls = 0;
  for (Py_ssize_t row = 0; row < rows; row++) {
    PyObject *value = PyList_GetItem(arguments[0], row);
    if (value == &_Py_NoneStruct) {
      nulls = 1;
      *ends++ = end;
      continue;
    }
    /* More than 2 GiB does not fit a list of texts here: memory has 4 GiB, and both would be there. */
    if (!PyUnicode_AsUTF8AndSize(value, &size) || __builtin_add_overflow(end, size, &end)) {
      Py_DecRef(offsets);
      return none();
    }
    *ends++ = end;
  }
  PyObject *data = PyBytes_FromStringAndSize(0, end);
  if (!data || PyBytes_AsStringAndSize(data, &start, &size)) {
    Py_DecRef(offsets);
    return 0;
  }
  for (Py_ssize_t row = 0; row < rows; row++) {
    PyObject *value = PyList_GetItem(arguments[0], row);
    if (value == &_Py_NoneStruct) continue;
    const char *text = PyUnicode_AsUTF8AndSize(value, &size);
    /* Texts are short, mostly: a call that copies memory costs more than the loop. */
    for (Py_ssize_t i = 0; i < size; i++) *start++ = text[i];
  }
  PyObject *has_nulls = PyBool_FromLong(nulls);
  PyObject *column = PyTuple_Pack(3, offsets, data, has_nulls);
  Py_DecRef(offsets);
  Py_DecRef(data);
  Py_DecRef(has_nulls);
  return column;
}

/* cut(offsets: bytes, data: bytes) -> list of str. */
static PyObject *cut(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
  char *first, *data;
  Py_ssize_t bytes, size;
  if (count != 2 || PyBytes_AsStringAndSize(arguments[0], &first, &bytes) ||
      PyBytes_AsStringAndSize(arguments[1], &data, &size))
    return wrong("cut takes offsets and data");
  const Py_ssize_t *ends = (const Py_ssize_t *)first;
  Py_ssize_t rows = bytes / 4 - 1;
  PyObject *texts = PyList_New(rows < 0 ? 0 : rows);
  if (!texts) return 0;
  for (Py_ssize_t row = 0; row < rows; row++) {
    Py_ssize_t start = ends[row], end = ends[row + 1];
    PyObject *text = 0;
    if (start < 0 || end < start || end > size)
      wrong("the offsets do not cut the data");
    else
      text = PyUnicode_DecodeUTF8(data + start, end - start, 0);
    if (!text) {
      Py_DecRef(texts);
      return 0;
    }
    PyList_SetItem(texts, row, text);
  }
  return texts;
}

/* The code of a type of numbers, as `struct` has it: d, f, q or i. */
static char code_of(PyObject *const *arguments, Py_ssize_t count) {
  Py_ssize_t size;
  const char *code = count == 2 ? PyUnicode_AsUTF8AndSize(arguments[0], &size) : 0;
  return code ? *code : 0;
}

static Py_ssize_t width_of(char code) {
  return code == 'd' || code == 'q' ? 8 : code == 'f' || code == 'i' ? 4 : 0;
}

/* pack(code: str, values: list) -> bytes, or None where a value is no such number or too large. */
static PyObject *pack(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
  char code = code_of(arguments, count), *start;
  Py_ssize_t width = width_of(code), rows = width ? PyList_Size(arguments[1]) : -1, size;
  if (rows < 0) return wrong("pack takes the code of a type and a list");
  PyObject *data = PyBytes_FromStringAndSize(0, rows * width);
  if (!data || PyBytes_AsStringAndSize(data, &start, &size)) return 0;
  for (Py_ssize_t row = 0; row < rows; row++) {
    PyObject *value = PyList_GetItem(arguments[1], row);
    int is_error;
    if (code == 'd') {
      double number = ((double *)start)[row] = PyFloat_AsDouble(value);
      is_error = number == -1;
    } else if (code == 'f') {
      double number = PyFloat_AsDouble(value);
      ((float *)start)[row] = (float)number;
      is_error = number == -1;
    } else if (code == 'q') {
      long long number = ((long long *)start)[row] = PyLong_AsLongLong(value);
      is_error = number == -1;
    } else {
      long number = ((long *)start)[row] = PyLong_AsLong(value);
      is_error = number == -1;
    }
    /* -1 is what an error gives, and a number. */
    if (is_error && PyErr_Occurred()) {
      Py_DecRef(data);
      return none();
    }
  }
  return data;
}

/* unpack(code: str, data: bytes) -> list of float or int. */
static PyObject *unpack(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
  char code = code_of(arguments, count), *start;
  Py_ssize_t width = width_of(code), size;
  if (!width || PyBytes_AsStringAndSize(arguments[1], &start, &size))
    return wrong("unpack takes the code of a type and bytes");
  PyObject *numbers = PyList_New(size / width);
  for (Py_ssize_t row = 0; numbers && row < size / width; row++) {
    PyObject *number = code == 'd'   ? PyFloat_FromDouble(((double *)start)[row])
                       : code == 'f' ? PyFloat_FromDouble(((float *)start)[row])
                       : code == 'q' ? PyLong_FromLongLong(((long long *)start)[row])
                                     : PyLong_FromLong(((long *)start)[row]);
    if (!number) {
      Py_DecRef(numbers);
      return 0;
    }
    PyList_SetItem(numbers, row, number);
  }
  return numbers;
}

static const PyMethodDef methods[] = {
    {"build", build, METH_FASTCALL, 0},
    {"cut", cut, METH_FASTCALL, 0},
    {"pack", pack, METH_FASTCALL, 0},
    {"unpack", unpack, METH_FASTCALL, 0},
    {0, 0, 0, 0},
};
static PyModuleDef definition = {{1, 0, 0, 0, 0}, "_columns", 0, -1, methods, 0, 0, 0, 0};

__attribute__((visibility("default"))) PyObject *PyInit__columns(void) {
  PyObject *module = PyModule_Create2(&definition, STABLE_ABI);
  /* Which source this was made of: a test compares. */
  if (module && PyModule_AddStringConstant(module, "SOURCE", SOURCE)) return 0;
  return module;
}
