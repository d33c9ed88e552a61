#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *
greet(PyObject *Py_UNUSED(module), PyObject *name)
{
    if (!PyUnicode_Check(name)) {
        PyErr_SetString(PyExc_TypeError, "name must be a str");
        return NULL;
    }
    if (PyUnicode_GetLength(name) == 0) {
        return PyUnicode_FromString("Hello, world!");
    }
    return PyUnicode_FromFormat("Hello, %U!", name);
}

static PyMethodDef methods[] = {
    {"greet", greet, METH_O, "A friendly sentence for a name; nobody in particular is the world."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_greet", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit__greet(void)
{
    return PyModule_Create(&module);
}
