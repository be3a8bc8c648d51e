"""Words of the prompt policy, a table for each of its parts: languages apart by lines, terms apart by commas.

A word that ends in * stands for every word that begins so. Terms of scripts without spaces, and of Hindi, stand apart:
they count wherever they occur. No list names a person.
"""

from __future__ import annotations


def terms(text: str) -> tuple[str, ...]:
    """Split a table into its terms."""
    return tuple(term.strip() for line in text.splitlines() for term in line.split(",") if term.strip())


def word_set(text: str) -> frozenset[str]:
    """Split a table into its words."""
    return frozenset(text.split())


YOUTH = terms("""
child, childs, children, childrens, childish*, childlike, childhood, childly, chld, chlid, manchild, womanchild
grandchild*, stepchild*, godchild*, schoolchild*, schoolkid*, schoolmate*, babe in arms, kid, kids, kiddo*
kiddie*, kiddy, kidz, kidlike, kld, klds
girl, girls, girly, girlie*, girlish*, girlchild, girlz, gurl*, grl, grls, glrl, glrls, schoolgirl*, babygirl*
boy, boys, boyish*, boyz, boi, bois, choirboy*, schoolboy*, babyboy*, tomboy*, baby, babies, babys, babyface*
babyish, newborn*, infant, infants, infantile, infancy, toddler*, preschool*, pre school*, tween, tweens, teen
teens, teenage*, teenager, teenagers, teeny, teenie*, teenybopper*, preteen*, pubescent, prepubescent, puberty
adolescen*, adolescent, adolescents, juvenile*
youngster*, underage*, under age, under aged, minors, minor child*, minor girl*, minor boy*, minor person
is a minor
minor female, minor male, as a minor, loli, lolis, lolita*, lolicon, shota*, jailbait*, jail bait, nymphet*
barely legal, barely eighteen, not legal, schooler*, schoolage*, school age*, youths, a youth, youngling*
little one*, lad, lads, laddie*, lass, lasses, lassie*, orphan*, moppet*, rugrat*, tyke*, bairn*, munchkin*
young one*, very young, too young, extremely young, so young, super young, really young, incredibly young
youngest possible, not an adult, not adult, non adult*, nonadult*, not yet an adult, pre adult, not of age
below legal age, under legal age, before adulthood, little sister*, little brother*, little princess*
little man
little prince, little lady, little guy*, little woman, little person, little son*, little daughter*, small son*
small daughter*, young son*, young daughter*, smol, chibi, toddlerlike, kiddish
kinder, kindern, kindes, kindlich*, kindisch*, kindchen*, kleinkind*, schulkind*, mädchen*, maedchen*, madel
mädel*, junge mit, ein junge, einen jungen, einem jungen, kleiner junge, kleinen jungen, kleine jungen
zwei jungen
jungs, bub, buben, knabe*, schulmädchen*, schulmaedchen*, säugling*, saeugling*, jugendlich*, minderjährig*
minderjaehrig*
teenie*, halbwüchsig*, backfisch, neugeboren*, vorpubertär*, heranwachsend*, grundschüler*, schülerin*
enfant*, fille, fillette*, filles, garçon*, garconnet*, bébé*, bebe, un ado, une ado, des ados, gamin*
gosse*, môme*, mineure, mineures, mineurs, un mineur, écolier*, écolière*, collégien*, lycéen*, nourrisson*
bambin*
nouveau né*, petiot*, puéril*
niño, niña, niños, niñas, un nino, una nina, el nino, la nina, los ninos, las ninas, nino pequeno, nina pequena
niñ*
chica, chicas, chico, chicos, chiquill*, chiquit*, muchach*, adolescente*, bebé*, menor de edad, menores
menor edad
colegial*, infantil*, crío*, nene, nena, nenes, nenas, chaval*, escolar*, quinceañer*, quinceanera*, párvulo*
bambino, bambina, bambini, bambine, bambinesc*, ragazzo, ragazza, ragazzi, ragazze, ragazzin*, bimbo, bimba
bimbi
bimbe, neonat*, minorenn*, fanciull*, scolaro, scolara, scolari, infantile*, liceal*, pargolo
criança*, crianca*, menino*, menina*, menininh*, garoto*, garota*, rapariga*, moleque*, guri, guria, miúdo
miúda, miúdos
novinha*, novinho*, bebê*, menor de idade, menores de idade, infanto*, pirralh*, neném
een kind, het kind, geen kind, kindje*, kinderlijk*, meisje*, jongen, jongens, jongetje*, peuter*, kleuter*
tiener*
puber*, minderjarig*, scholier*, zuigeling*, pasgeboren*, dreumes*
dziecko, dziecka, dzieci*, dzieciak*, dziewczyn*, dziewczę*, chłopiec, chłopca, chłopcy, chłopczyk*, chłopak*
niemowl*, nastolat*, nieletni*, małoletni*, uczennic*, uczeń, przedszkol*, maluch*, niepełnoletni*, noworod*
bobas*
çocuk*, cocuk*, çocuğ*, cocug*, kız, kızı, kızlar*, kiz cocu*, oğlan*, bebek*, ergen, ergenlik*, reşit olmayan*
resit olmayan*
kız çocu*, genç kız*, küçük kız*, liseli*, ilkokul*, ufaklık*, velet
ребенок, ребенка, ребенк*, ребён*, дети, детей, детьми, детям, детск*, девочк*, девчон*, девчуш*, мальчик*
мальчиш*
мальчуг*, подрост*, малыш*, младен*, школьни*, несовершеннолет*, пацан*, юноша, юноши, тинейджер*, дошколь*
первоклас*
малолет*, лолит*, лоли, дитя, ребятиш*, отрок*, грудничок, новорожд*
rebenok, rebyonok, rebenka, deti, detey, detski*, devochk*, malchik*, podrost*, malysh*, mladen*, shkolni*
nesovershenn*, patsan*, maloletk*
baccha, bacche, bacchi, bachcha*, bachchi*, bachche*, ladki, ladkiya*, ladka, ladke, nabalig, naabaalig, kishori
chhota bacch*, shishu, balika
shoujo, shojo, shounen, shonen, kodomo, joshikousei, shoutaro, xiaohai, xiao hai, nuhai, nanhai, luoli, ertong
""")

YOUTH_CONTEXT = terms("""
school uniform*, schooluniform*, high school*, highschool*, middle school*, middleschool*, elementary school*
primary school*, grade school*, grammar school*, junior high*, secondary school*, kindergart*, kindergarden*
nursery, nurseries, day care, daycare, playschool*, playground*, playpen, school photo*, school picture*
grader*
school portrait*, school yearbook*, yearbook*, picture day, prom, prom queen, prom king, homecoming, homeroom
diaper*
nappy, nappies, pacifier*, crib, high chair, cub scout*, little league, sippy cup*, baby teeth, milk teeth
milk tooth
lost tooth, sixth form*, mitzvah, sweet sixteen, sweet 16, first communion, seventh form*, montessori
primary class*, elementary class*, in elementary, in kindergarten, in preschool, before puberty, pre puberty
prepuber*, generation alpha, gen alpha
schuluniform*, grundschul*, erstkl*, einschul*, schulanf*, kita, kindertages*, vorschul*, schultüte, schnuller*
uniforme scolaire, uniforme d écolier*, école primaire, ecole maternelle, école maternelle, maternelle
au collège
cours préparatoire, au lycée, crèche, tétine, uniforme escolar, escuela primaria, escuela infantil, guardería
jardín de infancia, uniforme de colegio, uniforme scolastic*, divisa scolastica, scuola elementare
scuola primaria
scuola materna, asilo nido, asilo, prima elementare, uniforme de escola, escola primária, jardim de infância
ensino fundamental, creche, basisschool*, kleuterschool, kleuterklas, mundurk*, mundurek, szkoła podstawowa
szkoły podstawowej, szkole podstawowej, okul üniforma*, okul forma*, anaokul*, ortaokul*, lise öğrenci*, kreş
школьная форма, школьной форме, детский сад*, детском саду, детсад*, начальн* школ*, начальных классах, в школе
""")

YOUTH_ANYWHERE = terms("""
孩子, 小孩, 儿童, 兒童, 女孩, 男孩, 少女, 少年, 婴儿, 嬰兒, 未成年, 幼儿, 幼兒, 幼女, 宝宝, 寶寶, 小学生, 小學生
中学生
中學生, 高中生, 初中生, 萝莉, 蘿莉, 正太, 小朋友, 学生妹, 學生妹, 女童, 男童, 孩童, 校服, 幼儿园, 幼兒園, 小学
小學, 娃娃脸
十几岁, 十幾歲, 小姑娘, 小伙子, 女学生, 童颜, 孩子气, 不是成年
子供, 子ども, こども, コドモ, 女の子, 男の子, 赤ちゃん, 赤ん坊, 幼児, 高校生, 女子高生, 未成年, ロリ, ショタ
園児, 児童, 幼い, 乳児
ティーン, 幼稚園, 保育園, 学生服, セーラー服, ランドセル, 制服の生徒, 童顔, 小学校, 中学校
बच्च, लड़क, नाबालिग, किशोर, शिशु, बालक, बालिका, नवजात, विद्यालय, स्कूल, छोटी बेटी
아이, 어린이, 소녀, 소년, 아기, 미성년, 여고생, 초등학생, طفل, أطفال, قاصر
👶, 🧒, 👦, 👧, 🍼, 🚸, 👼, 🏫, 🎒
""")

KIND_CUES = word_set(
    "mit und ein eine einem eines das dem des der die nicht kein keine mein meine sein ihr von vom im portrat foto"
    " bild lachend lachelnd een het met geen niet lachend kleines kleine kleinen susses junges klein"
)
"""German and Dutch words: with any of them "kind" is a child; in English it is a good heart."""
GROWN = word_set("frau frauen dame damen mann manner mannes person personen leute erwachsene erwachsener")

SEXUAL = terms("""
sex, sexual, sexually, sexting, porn*, pr0n, xxx, xrated, x rated, hentai, ecchi, ahegao, orgasm*, cumming
cumshot*
blowjob*, blow job*, handjob*, deepthroat*, masturbat*, intercourse, gangbang*, anal, oral sex, creampie*
bukkake
bdsm, bondage, fetish*, horny, slut, sluts, slutty, whore*, milf, milfs, incest*, rape, raped, raping, rapist*
molest*
penis*, vagina*, vulva, pussy, pussies, cock, cocks, dick, dicks, clit, clitoris, genital*, genitals, erection
semen
dildo*, vibrator*, fellatio, cunnilingus, fuck, fucks, fucked, fucking, fuckable, doggystyle, threesome*
futanari
rule34, rule 34, yiff, onlyfans, camgirl*, escort service, prostitut*, pedophil*, paedophil*, pedo, csam
aroused, arousal, sodom*, lewd*, smut*, nsfw, sex act*, lolicon, shotacon
sexuell*, geschlechtsverkehr, ficken, fickt, gefickt, vergewalt*, hure, huren, geil, geile, wichs*
sexuel*, baise, baiser avec, pénis, pute, putes, salope*, branle*, viol, violée, chatte, sexo, follar, follando
pene, puta, putas, violada, violación, coño, polla, mamada, sesso, scopare, scopando, cazzo, figa, troia
puttana, stupr*, pompino, transando, foder, fodendo, caralho, buceta, estupr*, seks*, neuken, neukt, verkracht*
hoer
kut, lul, seksual*, ruchan*, kurwa, gwałt*, cipka, kutas, cinsel*, sikiş*, tecavüz*, orospu
секс*, порно*, трах*, минет, изнасил*, шлюх*, вагин*, оргазм*, мастурб*, seks, trahat, iznasil*
chudai, choda
""")

SEXUAL_ANYWHERE = terms("""
色情, 做爱, 做愛, 性爱, 性愛, 性交, 强奸, 強姦, 口交, 自慰, 淫, 性行为, 性行為, エロ, セックス, ポルノ, 強姦
レイプ, オナニー, 性行為
18禁, エッチ, 変態, सेक्स, अश्लील, बलात्कार, संभोग, चुदाई, 섹스, 야동, 🔞, 🍆, 💦
""")

NUDITY = terms("""
nude, nudes, nudity, nudist*, naked, nakedness, nekkid, nudie*, nips, topless, bottomless, braless, unclothed
undress*, disrob*
no clothes, no clothing, without clothes, without clothing, without any clothes, without a shirt, without shirt
bosom, bare bosom, shirtless
no shirt, shirt off, no top, without a top, exposing her chest, exposing his chest, no bra, clothes off
clothes removed, remove her clothes, remove his clothes, remove clothes, strip naked
stripped, striptease*, stripper*, stripping, wearing nothing, nothing on, wears nothing, in the buff
birthday suit
bare breast*, bare chest*, barechest*, bare bottom, bare butt, bare skin only, breasts, boobs, boob, boobies
tits
titties, titty, nipple*, areola*, cleavage*, underboob*, sideboob*, busty, buttocks, butt, butts, ass, asses
booty
lingerie*, panties, panty, thong, thongs, bra and, in a bra, in her bra, in bra, underwear, negligee*, upskirt*
downblouse, see through, see thru, skimpy, sheer top, wet t shirt, wet shirt, micro bikini, bikini*, erotic*
erotica, sexy, sexier
sexiest, sexi, seductive*, seducing, sensual*, provocative pose, suggestive pose, suggestive, boudoir, playboy*
playmate*, centerfold, lustful*, lusty, voluptuous, scantily*, half dressed, half naked, semi nude
seminude, hot babe*, sexualiz*, sexualis*, come hither, kinky, sultry nude, exposed chest, exposed breast*
exposed body
nackt*, nackedei, entblöß*, oben ohne, ohne kleidung, ohne kleider, unterwäsche, dessous, erotisch*, brüste
busen
brustwarze*, halbnackt*, splitternackt*, ausgezogen, aktfoto*, nue, nues, tout nu, homme nu, femmes nues
seins nus
dénud*, nudité, sans vêtements, sans habits, déshabill*, érotique*, seins, tétons, sous vêtements, torse nu
aguich*
desnud*, encuerad*, sin ropa, ropa interior, lencería, tetas, pechos, pezones, erótic*, sensual*, semidesnud*
nuda, nudo, nudi, nudità, senza vestiti, spogliat*, biancheria intima, erotic*, seno nudo, tette, capezzol*
nua, nuas, mulher pelada, homem pelado, sem roupa, sem roupas, nudez, seminua, erótic*, calcinha, seios, mamilo*
peitos, despida, despido
naakt*, bloot, blote, zonder kleren, ontkleed*, uitgekleed*, ondergoed, borsten, erotisch*, tepel*
naga kobieta, naga osoba, nagi mężczyzna, nago, nagie, nagiej, nagą, bez ubra*, rozebran*, goła, goły, erotyczn*
seksown*, bielizn*, piersi
półnag*, cycki, çıplak*, ciplak*, yarı çıplak, iç çamaşır*, ic camasir*, erotik*, seksi, göğüsler*, soyun*
голая, голое, голых, голого, голый, голые, голую, голой, голым, голышом, обнажен*, обнажён*, без одежды, раздет*
эрот*, нижнее белье
нижнем белье, сиськи, сисек, топлес, полуголая, golaya, golyi, obnazhen*, bez odezhd*, nangi, nanga, nange
""")

NUDITY_ANYWHERE = terms("""
裸, 性感, 情色, 内衣, 內衣, 脱光, 脫光, 脱衣, 没穿衣服, 沒穿衣服, 不穿衣服, 胸罩, 乳房, 乳头, ヌード, 下着, 巨乳
服を着ていない, おっぱい
セクシー, 官能, 水着姿の胸, नग्न, नंगी, नंगा, कामुक, बिना कपड़, 👙, 벗은, 누드
""")

HARMLESS = terms("""
baby blue background*, baby blue backdrop, baby blue eyeshadow, baby blue eye shadow, baby blue shirt
baby blue sweater, baby blue dress, baby blue blouse, baby blue wall, baby blue scarf, baby blue jacket
baby blue suit, baby blue tie, baby blue lipstick, baby blue blush, baby pink background*, baby pink backdrop
baby pink eyeshadow, baby pink eye shadow, baby pink shirt, baby pink sweater, baby pink dress, baby pink blouse
baby pink wall, baby pink scarf, baby pink jacket, baby pink suit, baby pink tie, baby pink lipstick
baby pink blush, baby hair, baby hairs, baby bangs, baby s breath, baby boomer*
nude lip*, nude makeup, nude make up, nude colour*, nude color*, nude tone*, nude shade*, nude palette
nude eye*
nude nail*, nude beige, nude pink, nude gloss, nude blush, nude matte, nude shadow*, nude pump*, nude heel*
zodiac rat, zodiac pig, zodiac monkey, zodiac snake, naked eye, nude brown
same sex, sex female, sex male, either sex, both sexes, breast cancer, ass kicking
rapping, rapped, school reunion, butt chin, moby dick, sexual orientation*, sexual preference*
orientation sexuelle
sexuelle orientierung, sexuellen orientierung, orientación sexual, orientamento sessuale, orientação sexual
seksuele geaardheid, orientacj* seksualn*, cinsel yönelim*, сексуальн* ориентац*
high school teacher*, elementary school teacher*, primary school teacher*, kindergarten teacher*
preschool teacher*
middle school teacher*, secondary school teacher*, high school principal*, nursery nurse*, grundschullehrer*
high school diploma
kiz arkadas*, erkek arkadas*, petite ami*, petit ami*
""")
"""Phrases whose words do not count, because together they mean something else."""

HARMLESS_ANYWHERE = terms(
    "カロリー, イエロー, フェロー, 裸妆, 裸妝, 裸色, 裸眼, 多少年, 아이섀도, 아이라이너, 아이샤도"
)
