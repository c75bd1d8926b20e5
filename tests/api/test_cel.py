"""k8s_core.api.cel: what expressions mean, with all that Kubernetes adds; what is said of those that mean nothing."""

import pytest

from k8s_core.api import cel, schema
from k8s_core.api.cel import schemas, syntax

VALUES = {
    "self": {
        "a": {"b": 1, "m": {"x": "y"}}, "l": [1, 2, 3], "s": "hello world", "n": 5, "f": 1.5, "e": [], "q": "100m",
        "items": [{"name": "a", "v": 1}, {"name": "b", "v": 2}], "t": "2024-01-01T00:00:00Z", "d": "1h",
        "foo-bar": 1, "namespace": "x", "a.b": 2,
    },
    "oldSelf": None,
}  # fmt: skip
TRUE = r"""
self.a.?b.orValue(7) == 1
self.?zz.?b.hasValue() == false
self.a[?'b'].orValue(3) == 1
self.l[?5].orValue(9) == 9
optional.of(3).value() == 3
optional.none().orValue(1) == 1
optional.ofNonZeroValue(0).hasValue() == false
self.?a.?b.optMap(x, x + 1).orValue(0) == 2
self.?a.optFlatMap(x, x.?b).orValue(0) == 1
{?'k': self.?zz}.size() == 0
[?self.?zz, 1].size() == 1
'%s is %d'.format(['x', 3]) == 'x is 3'
'%.2f'.format([1.234]) == '1.23'
'%x'.format([255]) == 'ff'
'a.?b' == 'a.?b'
"self.?x {foo: 1}" != ''
self.l.all(x, x > 0)
self.l.exists(x, x > 2)
self.l.exists_one(x, x > 2)
self.l.map(x, x * 2) == [2,4,6]
self.l.map(x, x > 1, x * 2) == [4,6]
self.l.filter(x, x > 1) == [2,3]
self.items.all(i, v, v.v > i)
self.a.m.all(k, v, k == 'x' && v == 'y')
self.l.transformList(i, v, i + v) == [1,3,5]
self.a.m.transformMap(k, v, v + 'z') == {'x':'yz'}
self.l.sum() == 6
self.l.min() == 1
self.l.max() == 3
self.l.indexOf(2) == 1
self.l.isSorted()
sets.contains([1,2,3],[1])
sets.intersects([1],[1,2])
sets.equivalent([1,1],[1])
math.greatest(1,2) == 2
math.least([1,2]) == 1
math.ceil(1.2) == 2.0
math.abs(-1) == 1
math.isNaN(1.0) == false
self.s.matches('^h.*d$')
self.s.startsWith('he') && self.s.endsWith('ld') && self.s.contains('lo')
self.s.find('[a-z]+') == 'hello'
self.s.findAll('[a-z]+') == ['hello','world']
self.s.split(' ')[0] == 'hello'
self.s.replace('o','0') == 'hell0 w0rld'
self.s.substring(0,5) == 'hello'
self.s.upperAscii() == 'HELLO WORLD'
self.s.charAt(1) == 'e'
['a','b'].join('-') == 'a-b'
'abc'.reverse() == 'cba'
strings.quote('a"b') == '"a\\"b"'
size(self.s) == 11
self.s.size() == 11
type(self.n) == int
int('5') == 5
double(5) == 5.0
string(5) == '5'
dyn(1) == 1
uint(1) == 1u
bool('true')
bytes('a') == b'a'
duration(self.d) == duration('60m')
duration('1h').getSeconds() == 3600
timestamp(self.t).getFullYear() == 2024
timestamp(self.t) < timestamp('2025-01-01T00:00:00Z')
timestamp(self.t) + duration('24h') == timestamp('2024-01-02T00:00:00Z')
timestamp(self.t).getDayOfWeek() == 1
quantity(self.q) == quantity('0.1')
quantity('1Gi').isGreaterThan(quantity('1M'))
quantity('1').add(quantity('500m')) == quantity('1.5')
quantity('1').sub(1) == quantity('0')
quantity('50k').asInteger() == 50000
isQuantity('1Gi')
quantity('1').compareTo(quantity('2')) == -1
isURL('https://a.b:80/p?x=1')
url('https://a.b:80/p?x=1').getQuery()['x'] == ['1']
url('https://a.b:80/p').getHost() == 'a.b:80'
ip('10.0.0.1').family() == 4
ip('127.0.0.1').isLoopback()
ip('0.0.0.0').isUnspecified()
ip.isCanonical('127.0.0.1')
cidr('10.0.0.0/8').containsIP('10.1.1.1')
cidr('10.0.0.0/8').containsIP(ip('10.1.1.1'))
cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')
cidr('10.0.0.0/8').prefixLength() == 8
cidr('10.1.0.0/8').masked() == cidr('10.0.0.0/8')
string(cidr('10.0.0.0/8').ip()) == '10.0.0.0'
isIP('x') == false
semver('1.2.3').isGreaterThan(semver('1.2.0'))
isSemver('1.2.3')
semver('1.2.3').major() == 1
format.dns1123Label().validate('Bad_').hasValue()
format.named('dns1123Label').hasValue()
!format.dns1123Label().validate('good').hasValue()
base64.encode(b'a') == 'YQ=='
base64.decode('YQ==') == b'a'
cel.bind(x, 5, x + x) == 10
has(self.a.b) && !has(self.a.c)
'b' in self.a
2 in self.l
self.n > 3 ? true : false
1 + 2 * 3 - 4 / 2 % 3 == 5
!(true && false) || true
self.a == {'b':1,'m':{'x':'y'}}
self['n'] == 5
null == null
r'a\d' == 'a\\d'
'''multi''' == 'multi'
0x10 == 16
1e3 == 1000.0
[1,2] + [3] == [1,2,3]
self.e == []
-self.n == -5
self.l[0] == 1
1.0 == 1
self.f + 1.0 == 2.5
self.items.map(i, i.name) == ['a','b']
self.items.exists(i, i.name == 'b' && i.v == 2)
self.__b__ == 1 || true
self.l.sortBy(x, -x) == [3,2,1]
lists.range(3) == [0,1,2]
[1,[2,[3]]].flatten() == [1,2,[3]]
[1,1].distinct() == [1]
[3,1].sort() == [1,3]
'abc'.lastIndexOf('c') == 2
' a '.trim() == 'a'
timestamp('2024-01-01T00:00:00Z').getHours('America/New_York') == 19
self.foo__dash__bar == 1 && self.__namespace__ == 'x' && self.a__dot__b == 2
has(self.foo__dash__bar) && !has(self.foo__dash__baz)
has(self.?a.b) && !has(self.?z.b)
self.a.?b.hasValue() ? self.a.?b.value() == 1 : false
self.l.filter(x, x > 1).map(x, x * 10).exists(x, x == 30)
Object{spec: Object.spec{replicas: 3}} == {'spec': {'replicas': 3}}
[JSONPatch{op: 'add', path: '/a/' + jsonpatch.escapeKey('b/c'), value: 1}][0].path == '/a/b~1c'
self.s.format([]) == 'hello world'
'%s %s %s'.format([true, [1, 'a'], {'k': null}]) == 'true [1, a] {k: null}'
semver('v1.2', true) == semver('1.2.0')
semver('1.0.0-alpha.2').isLessThan(semver('1.0.0-alpha.10'))
"""


@pytest.mark.parametrize("source", TRUE.strip().splitlines())
def test_expressions_that_are_true(source: str) -> None:
    """Each line says what a function or a macro does."""
    assert cel.compiled(source, ("self", "oldSelf"))(VALUES) is True


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("self.zz", "no such key: zz"),
        ("self.l[7]", "index out of bounds: 7"),
        ("1 / 0", "division by zero"),
        ("self.n + 'a'", "no such overload"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("semver('1').major()", "No Major.Minor.Patch elements found"),
        ("'%q'.format([1])", 'could not parse formatting clause: unrecognized formatting clause "q"'),
    ],
)
def test_expressions_that_fail(source: str, message: str) -> None:
    """The reason is cel-go's, without a word of the library that runs it."""
    with pytest.raises(cel.CelError) as caught:
        cel.compiled(source, ("self",))(VALUES)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("source", "where"),
    [
        ("self.a +", "<input>:1:9: Syntax error"),
        ("self.a\n  && foo", "<input>:2:6: undeclared reference to 'foo'"),
        ("self.l.frob()", "<input>:1:8: undeclared reference to 'frob'"),
        ("self.?a.b == (1", "Syntax error"),
        ("self.l.all(x, y > 0)", "<input>:1:15: undeclared reference to 'y'"),
    ],
)
def test_expressions_that_are_none(source: str, where: str) -> None:
    """The place of the mistake is that in what was written."""
    with pytest.raises(cel.CelError, match=r"^compilation failed: ERROR: ") as caught:
        cel.compiled(source, ("self",))
    assert where in str(caught.value)


@pytest.mark.parametrize(
    "source", ["'a.?b[?c] {?d: 1}'", '"// no comment"', "r'\\d{2}'", "b'x'", "1u", "0x1F", "1e3", "-2.5"]
)
def test_literals_stay_as_they_are(source: str) -> None:
    """What looks like syntax inside a string is not."""
    assert syntax.rewritten(source).replace("- ", "-") == source


SCHEMA = {
    "type": "object",
    "properties": {
        "replicas": {"type": "integer"},
        "items": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("self.replicas > 0 && self.labels.x == 'y' && self.free.anything.at.all == 1", []),
        ("self.replica > 0", ["<input>:1:5: undefined field 'replica'"]),
        ("self.items.all(i, i.name != '' && i.nam != '')", ["<input>:1:36: undefined field 'nam'"]),
        ("has(self.old) || oldSelf.items[0].x == 1",
         ["<input>:1:9: undefined field 'old'", "<input>:1:34: undefined field 'x'"]),
        ("self.items.filter(i, i.name == 'a').exists(j, j.size == 1)", ["<input>:1:48: undefined field 'size'"]),
        ("'self.nothing' == ''", []),
    ],
)  # fmt: skip
def test_fields_that_a_schema_does_not_have(source: str, missing: list[str]) -> None:
    """They are found without a value; what the schema leaves open is not judged."""
    found = [str(error) for error in schemas.undefined_fields(source, {"self": SCHEMA, "oldSelf": SCHEMA})]
    assert [text.split("ERROR: ")[1].split("\n")[0] for text in found] == missing


def test_metadata_is_known_at_the_root() -> None:
    """A rule at the top of an object may look at its name, whatever the schema says."""
    assert not list(schemas.undefined_fields("self.metadata.name == 'a'", {"self": schemas.whole(SCHEMA)}))


def test_fields_of_a_built_in_kind() -> None:
    """Its type is the schema, as deep as the expression goes; types that hold themselves are no trouble."""
    scope = {"object": schemas.declared(schema.load().kind("apps", "v1", "Deployment"))}
    ports = "object.spec.template.spec.containers.all(c, c.ports.exists(p, p.containerPort > 1))"
    sound = f"{ports} && object.metadata.labels.x == ''"
    assert not list(schemas.undefined_fields(sound, scope))
    wrong = "object.spec.template.spec.containers.all(c, c.port == 1)"
    (found,) = schemas.undefined_fields(wrong, scope)
    assert str(found).endswith(f"undefined field 'port'\n | {wrong}\n | {'.' * 45}^")
    definition = schema.load().kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
    deep = "object.spec.versions[0].schema.openAPIV3Schema.properties.a.properties.b.typ == ''"
    assert len(list(schemas.undefined_fields(deep, {"object": schemas.declared(definition)}))) == 1
