"""Requests about real people, official pictures, whole groups of people and inner traits: words and patterns.

Titles and turns of phrase stand here; a list of people would be incomplete, and would itself be one more place
that names them.
"""

from __future__ import annotations

import re
import unicodedata

from faces.policy_words import KIND_CUES, terms, word_set

LIKENESS = terms("""
lookalike*, look alike*, in the likeness of, likeness of, resembling, resembles, resemble, spitting image
doppelganger*, doppelgänger*, impersonator*, impersonat*, celebrit*, celeb, celebs, movie star*, film star*
famous person, famous people, famous actor*, famous actress*, famous singer*, famous politician*, famous model*
famous athlete*, famous footballer*, famous influencer*, famous rapper*, famous football*, famous soccer*
famous musician*, famous star*, someone famous
somebody famous, well known actor*, well known actress*, well known politician*, known politician*, known actor*
known actress*, known singer*, the guy from
the man from the movie, well known singer*, pop icon*
hollywood star*, hollywood actor*, hollywood actress*, world leader*, a real person, an actual person
deepfake*, deep fake*, faceswap*, face swap*, swap faces, swap the face, swapped face, president, presidents
presidential portrait, presidential address, prime minister*, head of state, heads of state, chancellor
dictator, pope, dalai lama, first lady
ceo of, king of, queen of, prince of, princess of, duke of, duchess of, the emperor of, royal family, sultan of
ayatollah, supreme leader, secretary general, looks like my, look like my
looking like my, looks just like my, looks exactly like, look exactly like, looking exactly like, looks like the
look like the, looks like that, look like that, looks like this, look like this, my ex, of my ex, my neighbour*
my neighbor*, my boss, my coworker*, my colleague*, my classmate*, my teacher, my stalker, my landlord
same face as
identical to the, the actor from, the actress from, the singer from, the singer of, actor who played
actress who played
identical twin of, twin of the, modelled on the, modeled on the, based on the real, based on a real
in real life
sieht aus wie die, sieht aus wie der, sieht aus wie mein*, doppelgaenger*, ähnlich wie, ebenbild, prominente*
berühmtheit*, berühmte*, präsident, präsidentin, praesident, praesidentin, bundeskanzler*, kanzler*
ministerpräsident*, könig von, papst
sosie*, ressemble à, ressemblant à, célébrité*, célèbre*, président, présidente, premier ministre
première ministre, le pape
se parece a, parecido a, parecida a, doble de, celebridad*, famoso, famosa, primer ministro, primera ministra
el papa, la reina de, el rey de, assomiglia a, simile a, sosia, celebrità, primo ministro, il papa, cancelliere
parece com, parecido com, parecida com, sósia*, celebridade*, primeiro ministro, primeira ministra
lijkt op, lijken op, dubbelganger*, beroemd*, minister president, koning van, paus
wygląda jak, podobny do, podobna do, sobowtór*, celebryt*, prezydent*, premier polski, papież*, benzeyen
benzeyen*
ünlü*, cumhurbaşkan*, başbakan*, похож на, похожа на, похожий на, похожая на, похожего на, двойник*
знаменитост*
президент*, премьер министр*, канцлер*, папа римский, известн* актер*, известн* актрис*, известн* певе*
известн* певиц*, известн* политик*, pohozh* na, znamenitost*, prezident*
""")
LIKENESS_ANYWHERE = terms("""
长得像, 看起来像, 明星, 名人, 总统, 總統, 主席, 首相, 总理, 總理, 国王, 教皇, 换脸, 換臉, そっくり, に似た
に似て, 有名人, 有名な, 著名, 芸能人, 大統領, 総理
なりすまし, 法王, जैसा दिखने, जैसी दिखने, राष्ट्रपति, प्रधानमंत्री, मशहूर, हमशक्ल, 대통령, 연예인
""")

IMPERSONATION = terms("""
id card*, identity card*, identification card*, identity document*, id document*, id photo*, id picture*
id badge*, badge photo*
national id, government id, student id, fake id, photo id, identification photo*, passport*, visa photo*
mugshot*, mug shot*
driver license*, drivers license*, driver s license*, driving licence*, drivers licence*, driver s licence*
driving license*, press badge, police badge, police id, fbi badge, military id, employee badge*, voter card*
voter id
residence permit*, green card, social security card, official statement*, official announcement*
official portrait*
official photo*, official picture*, official government, government announcement*, press conference*
press briefing
press release*, press photo*, spokesperson*, arrest photo*, booking photo*, election, candidate poster*
evening news, news show*, visa application*, wanted by the, nightly news, news presenter*, live on air
dating app*, dating site*, breaking news
news broadcast*, news report*, news headline*, news footage, news photo*, news segment*
news studio*, news anchor*, news interview*, news channel*, news article*, news reporter*, news screenshot*
newscast*
newsreader*, news flash, newsflash, news ticker, news program*, news bulletin*, newspaper front page
newspaper photo*
front page photo, in the news, on the news, tv news, bbc news, cnn, lower third, live from the white house
wanted poster*, missing person poster, court sketch, campaign poster*, election poster*, kyc, liveness check
liveness test, verification selfie*, selfie verification, identity verification, verify my identity
unlock the phone, bypass face, face id, fool face, spoof*, fake profile*, dating profile*, catfish*
romance scam
holding an id, holding his id, holding her id, holding a passport, state of the union, addressing the nation
address to the nation, swearing in ceremony, leaked photo*, paparazzi*, surveillance footage, cctv*, crime scene
personalausweis*, lichtbildausweis*, ausweis*, reisepass*, passfoto*, passbild*, führerschein*, eilmeldung*
nachrichtensprech*
nachrichtensendung*, tagesschau, pressekonferenz*, offizielle erklärung, offizielle mitteilung
offizielles porträt
fahndungs*, biometrisch*, carte d identité, pièce d identité, passeport*, photo d identité, permis de conduire
flash info, dernières nouvelles, journal télévisé, communiqué officiel, conférence de presse
déclaration officielle
portrait officiel, photo officielle, pasaporte*, documento de identidad, carnet de identidad, foto carnet
foto tipo carnet, foto 3 x 4, cédula de identidad
carnet de conducir, licencia de conducir, noticias, noticiero*, telediario, última hora, rueda de prensa
conferencia de prensa, comunicado oficial, retrato oficial, declaración oficial, carta d identità, fototessera*
passaporto*
documento d identità, patente di guida, ultime notizie, telegiornale, conferenza stampa, comunicato ufficiale
ritratto ufficiale, foto segnaletica, carteira de identidade, carteira de motorista, passaporte*
bilhete de identidade
documento de identidade, notícias, noticiário, conferência de imprensa, coletiva de imprensa, comunicado oficial
identiteitskaart*, identiteitsbewijs*, paspoort*, rijbewijs*, pasfoto*, laatste nieuws, nieuwslezer*
nieuwsuitzending
persconferentie*, officiële verklaring, officieel portret, dowód osobist*, do dowodu, dowodu osobist*
dowodzie osobist*
paszport*, prawo jazdy, prawa jazdy, konferencj* prasow*, wiadomości, oficjalne oświadczenie, legitymacj*
zdjęcie legitymacyjne, kimlik kart*, kimlik fotoğraf*, pasaport*, vesikalık*, ehliyet*, son dakika
haber bülten*
basın toplantı*, resmi açıklama, паспорт*, загранпаспорт*, документ*, удостоверени*, водительск* прав*, новост*
выпуск новостей, экстренн*
пресс конференц*, официальн* заявлен*, официальн* портрет*, фото на документы, pasport*, novosti, udostoverenie
""")
IMPERSONATION_ANYWHERE = terms("""
身份证, 身分證, 身份證, 护照, 護照, 驾照, 駕照, 驾驶证, 证件照, 證件照, 新闻, 新聞, 记者会, 記者會, 官方声明
官方聲明, 通缉令, 工作证, 学生证
身分証, 証明写真, パスポート, 免許証, ニュース, 記者会見, 公式声明, 速報, 社員証, 指名手配, マイナンバー
पासपोर्ट, आधार कार्ड, पहचान पत्र, समाचार, प्रेस कॉन्फ्रेंस, ड्राइविंग लाइसेंस, 여권, 신분증, 뉴스
""")

HATE = terms("""
subhuman*, sub human*, untermensch*, vermin, dehumaniz*, dehumanis*, racist*, racism, antisemit*, anti semit*
racial stereotype*, ethnic stereotype*, racial caricature*, ethnic caricature*, jewish caricature*, hook nosed
hooknosed, big nosed jew*, greedy jew*, happy merchant, nazi*, neonazi*, swastika*, hakenkreuz*, ku klux, kkk
blackface, yellowface, brownface, redface makeup, slant eyed, slanty eye*, slit eyed, inferior race*
master race*
white power, white supremac*, aryan race, ethnic cleansing, gas chamber*, hitler*, lynch*, minstrel show, sambo
golliwog*, degenerate race, savage race, mud people, less than human, not human filth, human garbage
human trash
hateful, hate speech, white trash, islamophob*, homophob*, transphob*, xenophob*, slave auction, third reich
ss uniform
nigger*, nigga, niggas, kike, kikes, spic, spics, chink, chinks, gook, gooks, wetback*, raghead*, towelhead*
paki
pakis, fag, fags, faggot*, tranny, trannies, retard, retards, retarded, mongoloid*, coon, coons, beaner*
sand monkey*
porch monkey*, jungle bunny, camel jockey, golem jew, dyke, dykes, shemale*, cripple, libtard*
rassist*, rassism*, racisme, racismo, razzismo, judensau, kanake*, neger, negerin, rassenschande
untermenschlich, raciste*, youpin*, bougnoule*
nègre
racista*, sudaca*, maricón*, moraco, razzist*, terrone, frocio, negraccio, viado, macaco preto, nikker*
kankerjood
rasist*, żydek, parch, czarnuch*, ırkçı*, irkci*, расист*, расизм*, жидовск*, недочеловек*, черножоп*, чурка
хохол
нацист*
фашист*, свастик*
""")
HATE_ANYWHERE = terms(
    "劣等民族, 劣等人种, 种族歧视, 種族歧視, 纳粹, 納粹, 黑鬼, 丑化, 醜化, 支那人, 卐,"
    "ナチス, 人種差別, 劣等人種, नस्लवादी"
)
GROUPS = terms("""
jew, jews, jewish, muslim*, islamic, black person, black people, black man, black woman, black men, black women
african*
asian*, arab*, mexican*, latino*, latina*, hispanic*, gypsy, gypsies, roma people, romani, immigrant*, migrant*
refugee*
gays, gay people, gay man, gay men, lesbian*, transgender, trans woman, trans man, trans people, trans person
disabled
indians, indian person, indian man, indian woman, chinese, japanese, korean*, turk, turks, turkish
polish people
ukrainian*, russian*, palestinian*, israeli*, christian*, hindu*, sikh*, indigenous, native american*
aboriginal*
foreigner*, autistic people, fat people, old people, women in general, juden, jude, juive*, juif*, judío*
ebreo*, ebrei
muçulmano*, moslim*, schwarze menschen, ausländer*, flüchtling*, zigeuner*, noirs, arabes, negros, gitano*
zingar*
негр*, евре*, мусульман*, мигрант*, цыган*, беженц*, żydzi, żyd, cygan*, yahudi*, mülteci*, mohammedan*
""")
DEGRADING = terms("""
ape, apes, apelike, monkey*, gorilla*, chimp*, rat, rats, ratlike, pig, pigs, vermin, cockroach*, insect
insects, parasite*
filthy, dirty, stupid, idiot*, moron*, primitive, savage, savages, terrorist*, thief, thieves, greedy, evil
demon, demonic
devil, devils, caricature*, stereotyp*, mocking, mockery, mock, ridicul*, grotesque, ugly, disgusting people
disgusting animal
animal, animals, beast, beasts, inferior, criminals, scum, plague, disease, diseased, barbar*, subservient
slave, slaves
lazy, bomb, trash, garbage, snake, snakes, hyena*, big nose, huge nose, affe, affen, ratten, ungeziefer
dreckig*, schmutzig*
hässlich*, karikatur*, singe*, rats, sale, sales, mono, monos, ratas, sucio*, sucia*, scimmi*, topi, sporc*
macaco*
apen, vies, małp*, szczur*, brudn*, maymun*, fare, pis, обезьян*, крыс*, грязн*, карикатур*
""")

INFERENCE = terms("""
gaydar, terrorist look*, how hot is, how hot she, how hot he, gay or straight, straight or gay
terrorist looking
psychological profile*
face reading, looks dangerous, looks like a drug dealer, looks like a dealer, low intelligence
high intelligence shown
physiognom*, phrenolog*, criminality, criminal face*, criminal look*, criminal type*, criminal tendenc*
criminal feature*, criminal mind, born criminal, typical criminal, looks criminal, look criminal
face of a criminal
face of a murderer, face of a killer, face of a rapist, face of a terrorist, face of a thief
face of a psychopath
face of a schizophrenic, face of a pedophile, face of a liar, face of an addict, face of an autistic
looks guilty
looks like a criminal, look like a criminal, looks like a terrorist, look like a terrorist
looks like a murderer
looks like a psychopath, look like a psychopath, looks like a thief, looks like a rapist, looks like a killer
looks like a drug addict, looks like a pedophile, looks gay, look gay, looking gay, typical gay, typically gay
gay face, gay looking, lesbian looking, looks lesbian, looks autistic, look autistic, looking autistic
autistic face
autistic look*, looks mentally, mentally ill, mental illness, mental disorder*, mental health status
looks schizo*
schizophrenic face, schizophrenic look*, looks bipolar, looks depressed from, psychopathic face, sociopath*
looks like a psycho, sexual orientation*, attractiveness, beauty score*, beauty rating*, hotness, hot or not
rate her, rate his, rate my, rate this face, rate the face, score her face, score his face, score my face
how attractive, how beautiful is, how ugly, how pretty is, how intelligent, how smart is, how honest is, iq of
intelligence from, iq from, personality from, personality trait*, big five, trustworthiness, looks dishonest
what disease, which disease, what illness, which illness, what condition does, what disorder, genetic disorder*
genetic syndrome*
is he gay, is she gay, is she lesbian, is he straight, are they gay, is he a criminal, is she a criminal
is he autistic
is she autistic, is he ill, is she ill, is she pregnant, is he lying, is she lying, is he depressed
is she depressed
is he a terrorist, is she a terrorist, does he have, does she have, diagnos*, medical condition from, symptom*
lie detect*, deception detect*, recidivis*, predict crime*, drug abuse face, meth face, crackhead*, junkie face
down syndrome face, syndrome face*, degenerate features, ethnicity estimat*, race estimat*
political orientation
political leaning*, political view*, religion from, ethnicity from, race from, sexuality from, gender from
sexuelle orientierung, sexuellen orientierung, attraktivität*, attraktivitaet*, wie attraktiv, verbrecher*
kriminell*, krimineller, geisteskrank*, psychisch krank*, sieht krank aus, sieht schwul aus, ist er schwul
autistisch*
orientation sexuelle, attractivité, tête de criminel, visage de criminel, air criminel, malade mental*
maladie mentale
est il gay, est elle lesbienne, à quel point est, diagnosti*, orientación sexual, cara de criminal
cara de delincuente
atractivo físico, qué tan atractiv*, enfermedad mental, enfermo mental, es gay, parece gay
orientamento sessuale
faccia da criminale, parece un delincuente, parece un criminal, air d un criminel, преступн* внешн*
faccia da delinquente, quanto è attraente, malattia mentale, malato di mente, è gay, sembra gay
orientação sexual, cara de criminoso, cara de bandido, quão atraente, doença mental, doente mental
parece criminoso
seksuele geaardheid, seksuele voorkeur, crimineel gezicht, crimineel uiterlijk, hoe aantrekkelijk, geestesziek*
aantrekkelijkheid*, orientacj* seksualn*, twarz przestępc*, przestępc*, choroba psychiczna, chory psychicznie
atrakcyjnoś*, jak atrakcyjn*, cinsel yönelim*, suçlu yüz*, suçlu, akıl hastas*, çekicilik*, ne kadar çekici
сексуальн* ориентац*, преступник*, лицо преступника, психически больн*, психическ* заболев*, привлекательност*
диагноз*, диагност*, гей ли, ориентаци* по лицу
""")
INFERENCE_ANYWHERE = terms("""
性取向, 性向, 罪犯, 犯罪, 颜值评分, 顏值評分, 颜值打分, 精神病, 诊断, 診斷, 同性恋吗, 同性恋者吗, 是不是同性恋
智商, 面相, 性的指向, 犯罪者, 診断, 人相学, 精神疾患, 知能指数
魅力度, 同性愛者か, यौन रुझान, अपराधी, निदान, मानसिक रोग, आकर्षण स्कोर, 범죄자, 진단
""")
READING_VERBS = terms("""
predict*, infer, infers, inferring, inferred, detect*, guess*, estimat*, classif*, determin*, assess*, analyse*
analyze*
analysis of, judge*, evaluat*, deduce*, recognize*, recognise*, identify*, identifi*, is this, is that person
is he, is she, are they, does he, does she, does this, whether, what is her
what is his, ist er, ist sie, est il, est elle, tell me, tell if, tell whether, reveal*
find out, score, scored, rate, rated, ranking, rank, measure, bewerte*, schätz*, errate*, erkenn*, vorhersag*
devine*
estime*, évalue*, détecte*, prédis*, predice*, adivina*, detecta*, evalúa*, califica*, indovina*, rileva*
valuta*, stima*
preveja, adivinhe, detecte, avalie, voorspel*, raad, beoordeel*, schat, herken*, oceń, zgadnij, przewid*
rozpozn*, tahmin*
değerlendir*, определи*, угадай*, оцени*, предскаж*, распозна*
""")
INNER_TRAITS = terms("""
attractive*, beauty, hot, iq, intelligence, intelligent, smart, personality, character traits, criminal*, crime
orientation
sexuality, sexual preference*, gay, lesbian, straight or gay, homosexual*, queer, disease*, illness*, disorder*
depress*, autis*, adhd, mental*
psychiatr*, psycholog*, psychopath*, bipolar, schizophren*, health status, health condition*, religion
religious, ethnicity
race, political*, politics, honest*, dishonest*, liar, lying, guilt*, trustworth*, terrorist*, dangerous
violent, aggression
addict*, alcoholi*, cancer, diabetes, alzheimer*, parkinson*, dementia, syndrome, pregnan*, infertil*, std, hiv
iq score
attraktiv*, schön*, intelligenz, krank*, schwul, lesbisch, kriminell*, attirant*, malade*, beauté, maladie*
homosexuel*, criminel*
atractiv*, belleza, enfermedad*, criminal, bellezza, attraent*, malatti*, omosessual*, atraente*, doença*
ziekte*, homo
aantrekkelijk*, intelligentie, choroba, chorob*, gejem, atrakcyjn*, inteligencj*, hastalık*, eşcinsel*, çekici*
zeka
болезн*, гей, привлекательн*, интеллект*, преступн*
""")

_NAME = r"[^\W\d_][\w'’.-]{0,40}"
_CAPITAL = re.compile(r"[A-ZÀ-ÖØ-ÞА-ЯЁŁŚŻŹĆŞİĞÇ]")
_OF = re.compile(
    rf"(?i:\b(portrait|photo|photograph|picture|image|face|headshot|selfie|painting|drawing|sketch|caricature|render"
    rf"|likeness|version|clone|twin|portr[äa]t|foto|bild|gesicht|visage|retrato|ritratto|portret|zdjęcie|портрет|фото"
    rf"|лицо)\s+(?:of|de|di|van|do|da|d['’])\s*)((?:{_NAME}\s*){{1,3}})"
)
_AS = re.compile(rf"(?i:\b(as|like|comme|como|come|jak|как)\s+)((?:{_NAME}\s*){{1,3}})")
_TITLE = re.compile(
    rf"\b(?i:mr|mrs|ms|sir|dr|president|senator|king|queen|prince|princess|pope|chancellor|minister|governor|actor"
    rf"|actress|singer|frau|herr|monsieur|madame|señora?|signora?|pan|pani)\.?\s+({_NAME})"
)
_FULL = re.compile(rf"(?<![\w.])({_NAME})\s+({_NAME})")
_ARTISTIC = re.compile(
    r"(?i:\b(?:style of|styled? (?:like|after)|by|inspired by|school of|manner of|lighting|light)\s*$)"
)
NOT_NAMES = word_set("""
a an the one two young old elderly middle adult senior man woman person people men women lady gentleman human someone
somebody male female his her their my your this that smiling happy sad angry calm frontal close up half full black
white brown red blond blonde grey gray green blue light dark soft warm cool beautiful handsome asian african european
american latin latina latino hispanic indian chinese japanese korean arab persian turkish german french italian spanish
english british irish scottish polish russian ukrainian dutch greek swedish norwegian danish finnish mexican brazilian
nigerian kenyan ethiopian egyptian moroccan vietnamese thai filipino indonesian native middle-aged south north east
west eastern western northern southern afro caribbean mediterranean nordic slavic jewish muslim christian viking roman
victorian renaissance baroque gothic medieval art deco nouveau rembrandt vermeer caravaggio studio ghibli polaroid
kodak fuji canon nikon leica sony portra hasselblad polaroids instagram photoshop unreal engine octane blender pixar
disney martens mona lisa christmas halloween santa claus
mother father nurse doctor teacher engineer firefighter pilot astronaut chef
new york london paris tokyo berlin rome italy france germany spain japan china india africa america europe mars moon
monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september
october november december frau mann dame herr person menschen mensch leute eine einer einem ein junge alte junger alter
femme homme une un mujer hombre donna uomo mulher homem vrouw kobieta mężczyzna kadın erkek женщина женщины мужчина
мужчины человек lächelnd god earth ai hdr rgb raw dslr led hd uhd pbr i ii vr png jpg webp id sdxl lora
with and in on at of from wearing who for looking facing
""")
"""Capitalised words that are no names, or name no living person: words of portraits, peoples, places, art, cameras."""


def names_somebody(text: str) -> bool:
    """Tell whether a text names a person by capital letters: "portrait of Jane Doe", "as Jane", "Dr. Doe".

    Texts in title case or in capitals say nothing by them; names in small letters are not seen.
    """
    text = unicodedata.normalize("NFKC", text)
    letters = re.findall(r"[^\W\d_]{3,}", text)
    if len(letters) > 4 and sum(bool(_CAPITAL.match(word)) for word in letters) > 0.6 * len(letters):
        return False
    germanic = {*text.casefold().split()} & KIND_CUES  # every noun has a capital letter there
    if any(_is_name(match.group(1)) for match in _TITLE.finditer(text)):
        return True
    for pattern in (_OF, _AS):
        for match in pattern.finditer(text):
            first = match.group(2).split()[0]
            if _is_name(first) and not _ARTISTIC.search(_before(text, match)) and not first.isupper():
                return True
    return any(
        _is_name(match.group(1)) and _is_name(match.group(2)) and not _ARTISTIC.search(_before(text, match))
        for match in _FULL.finditer(text)
        if _before(text, match).rstrip()[-1:] not in set(".!?:") and (match.start() > 0 or not germanic)
    )


def _before(text: str, match: re.Match[str]) -> str:
    return text[max(0, match.start() - 40) : match.start()]


def _is_name(word: str) -> bool:
    word = word.strip(".'’-")
    plain = word.removesuffix("'s").removesuffix("’s")
    return bool(_CAPITAL.match(plain)) and plain.casefold() not in NOT_NAMES and not plain.isupper()
